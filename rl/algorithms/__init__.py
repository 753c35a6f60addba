"""The algorithms, one page each, and the list of them: a new one is a file and a line here."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deepnp.storage import load_metadata
from rl.agent import Agent
from rl.algorithms.actor_critic.ddpg import DDPG, DDPGConfig
from rl.algorithms.actor_critic.on_policy_sac import OnPolicySAC, OnPolicySACConfig
from rl.algorithms.actor_critic.preqn import PreQN, PreQNConfig
from rl.algorithms.actor_critic.sac import SAC, SACConfig
from rl.algorithms.actor_critic.sac_lite import SACLite, SACLiteConfig
from rl.algorithms.actor_critic.sac_value import SACValue, SACValueConfig
from rl.algorithms.actor_critic.td2 import TD2, TD2Config
from rl.algorithms.actor_critic.td3 import TD3, TD3Config
from rl.algorithms.black_box.cem import CEM, CEMConfig
from rl.algorithms.black_box.cma_es import CMAES, CMAESConfig
from rl.algorithms.black_box.reps import REPS, REPSConfig
from rl.algorithms.black_box.rwr import RWR, RWRConfig
from rl.algorithms.model_based.dyna import Dyna, DynaConfig
from rl.algorithms.model_based.mba import MBA, MBAConfig
from rl.algorithms.model_based.mbpo import MBPO, MBPOConfig
from rl.algorithms.model_based.mve import MVE, MVEConfig
from rl.algorithms.model_based.pets import PETS, PETSConfig
from rl.algorithms.offline.awac import AWAC, AWACConfig
from rl.algorithms.offline.awr import AWR, AWRConfig
from rl.algorithms.offline.bc import BC, BCConfig
from rl.algorithms.offline.cql import CQL, CQLConfig
from rl.algorithms.offline.ddqn_bc import DDQNBC, DDQNBCConfig
from rl.algorithms.offline.fitted_sarsa import FittedSARSA, FittedSARSAConfig
from rl.algorithms.offline.forward_kl import ForwardKL, ForwardKLConfig
from rl.algorithms.offline.iql import IQL, IQLConfig
from rl.algorithms.offline.reverse_kl import ReverseKL, ReverseKLConfig
from rl.algorithms.offline.sac_bc import SACBC, SACBCConfig
from rl.algorithms.offline.td3_bc import TD3BC, TD3BCConfig
from rl.algorithms.policy_gradient.a2c import A2C, A2CConfig
from rl.algorithms.policy_gradient.dpg import DPG, DPGConfig
from rl.algorithms.policy_gradient.importance import OffPolicyPG, OffPolicyPGConfig
from rl.algorithms.policy_gradient.ppo import PPO, PPOConfig
from rl.algorithms.policy_gradient.reinforce import REINFORCE, REINFORCEConfig
from rl.algorithms.policy_gradient.trpo import TRPO, TRPOConfig
from rl.algorithms.registry import Algorithm
from rl.algorithms.tabular.double_q_learning import DoubleQLearning, DoubleQLearningConfig
from rl.algorithms.tabular.dyna_q import DynaQ, DynaQConfig
from rl.algorithms.tabular.monte_carlo import MonteCarlo, MonteCarloConfig
from rl.algorithms.tabular.off_policy_monte_carlo import OffPolicyMonteCarlo, OffPolicyMonteCarloConfig
from rl.algorithms.tabular.q_learning import QLearning, QLearningConfig
from rl.algorithms.tabular.sarsa import SARSA, SARSAConfig
from rl.algorithms.value_based.c51 import C51, C51Config
from rl.algorithms.value_based.discrete_sac import DiscreteSAC, DiscreteSACConfig
from rl.algorithms.value_based.dqn import DQN, DQNConfig
from rl.algorithms.value_based.fqi import FQI, FQIConfig
from rl.algorithms.value_based.naf import NAF, NAFConfig
from rl.algorithms.value_based.q_ascent import QAscent, QAscentConfig
from rl.algorithms.value_based.qr_dqn import QRDQN, QRDQNConfig
from rl.experience.environments import EnvLike
from rl.runs.record import CONFIG

_LIST = (
    Algorithm(REINFORCE, "policy_gradient", "Williams 1992"),
    Algorithm(A2C, "policy_gradient", "Mnih et al. 2016"),
    Algorithm(OffPolicyPG, "policy_gradient", "the lecture"),
    Algorithm(DPG, "policy_gradient", "Silver et al. 2014"),
    Algorithm(TRPO, "policy_gradient", "Schulman et al. 2015"),
    Algorithm(PPO, "policy_gradient", "Schulman et al. 2017"),
    Algorithm(DDPG, "actor_critic", "Lillicrap et al. 2016"),
    Algorithm(TD3, "actor_critic", "Fujimoto et al. 2018"),
    Algorithm(TD2, "actor_critic", "the thesis on maximum entropy, ch. 3"),
    Algorithm(PreQN, "actor_critic", "Achiam, Knight & Abbeel 2019"),
    Algorithm(SAC, "actor_critic", "Haarnoja et al. 2018b"),
    Algorithm(SACLite, "actor_critic", "Yu, Zhang & Xu 2022"),
    Algorithm(SACValue, "actor_critic", "Haarnoja et al. 2018a"),
    Algorithm(OnPolicySAC, "actor_critic", "the notes"),
    Algorithm(FQI, "value_based", "Ernst, Geurts & Wehenkel 2005"),
    Algorithm(DQN, "value_based", "Mnih et al. 2015"),
    Algorithm(C51, "value_based", "Bellemare, Dabney & Munos 2017"),
    Algorithm(QRDQN, "value_based", "Dabney et al. 2018"),
    Algorithm(DiscreteSAC, "value_based", "Christodoulou 2019"),
    Algorithm(NAF, "value_based", "Gu et al. 2016"),
    Algorithm(QAscent, "value_based", "the thesis on maximum entropy, ch. 1"),
    Algorithm(PETS, "model_based", "Chua et al. 2018"),
    Algorithm(MBPO, "model_based", "Janner et al. 2019"),
    Algorithm(MVE, "model_based", "Feinberg et al. 2018"),
    Algorithm(Dyna, "model_based", "Sutton 1990"),
    Algorithm(MBA, "model_based", "Gu et al. 2016"),
    Algorithm(BC, "offline", "Pomerleau 1989"),
    Algorithm(TD3BC, "offline", "Fujimoto & Gu 2021"),
    Algorithm(SACBC, "offline", "Fujimoto & Gu 2021"),
    Algorithm(DDQNBC, "offline", "Fujimoto & Gu 2021"),
    Algorithm(FittedSARSA, "offline", "Brandfonbrener et al. 2021"),
    Algorithm(AWR, "offline", "Peng et al. 2019"),
    Algorithm(AWAC, "offline", "Nair et al. 2020"),
    Algorithm(IQL, "offline", "Kostrikov, Nair & Levine 2021"),
    Algorithm(ForwardKL, "offline", "the lecture"),
    Algorithm(ReverseKL, "offline", "Wu, Tucker & Nachum 2019"),
    Algorithm(CQL, "offline", "Kumar et al. 2020"),
    Algorithm(CEM, "black_box", "Szita & Lőrincz 2006"),
    Algorithm(CMAES, "black_box", "Hansen 2016"),
    Algorithm(RWR, "black_box", "Peters & Schaal 2007"),
    Algorithm(REPS, "black_box", "Peters, Mülling & Altün 2010"),
    Algorithm(MonteCarlo, "tabular", "Sutton & Barto 2018"),
    Algorithm(OffPolicyMonteCarlo, "tabular", "Sutton & Barto 2018"),
    Algorithm(SARSA, "tabular", "Rummery & Niranjan 1994"),
    Algorithm(QLearning, "tabular", "Watkins & Dayan 1992"),
    Algorithm(DoubleQLearning, "tabular", "van Hasselt 2010"),
    Algorithm(DynaQ, "tabular", "Sutton 1990"),
)
ALGORITHMS = {algorithm.name: algorithm for algorithm in _LIST}

__all__ = [
    "A2C",
    "ALGORITHMS",
    "AWAC",
    "AWR",
    "BC",
    "C51",
    "CEM",
    "CMAES",
    "CQL",
    "DDPG",
    "DDQNBC",
    "DPG",
    "DQN",
    "FQI",
    "IQL",
    "MBA",
    "MBPO",
    "MVE",
    "NAF",
    "PETS",
    "PPO",
    "QRDQN",
    "REINFORCE",
    "REPS",
    "RWR",
    "SAC",
    "SACBC",
    "SARSA",
    "TD2",
    "TD3",
    "TD3BC",
    "TRPO",
    "A2CConfig",
    "AWACConfig",
    "AWRConfig",
    "Algorithm",
    "BCConfig",
    "C51Config",
    "CEMConfig",
    "CMAESConfig",
    "CQLConfig",
    "DDPGConfig",
    "DDQNBCConfig",
    "DPGConfig",
    "DQNConfig",
    "DiscreteSAC",
    "DiscreteSACConfig",
    "DoubleQLearning",
    "DoubleQLearningConfig",
    "Dyna",
    "DynaConfig",
    "DynaQ",
    "DynaQConfig",
    "FQIConfig",
    "FittedSARSA",
    "FittedSARSAConfig",
    "ForwardKL",
    "ForwardKLConfig",
    "IQLConfig",
    "MBAConfig",
    "MBPOConfig",
    "MVEConfig",
    "MonteCarlo",
    "MonteCarloConfig",
    "NAFConfig",
    "OffPolicyMonteCarlo",
    "OffPolicyMonteCarloConfig",
    "OffPolicyPG",
    "OffPolicyPGConfig",
    "OnPolicySAC",
    "OnPolicySACConfig",
    "PETSConfig",
    "PPOConfig",
    "PreQN",
    "PreQNConfig",
    "QAscent",
    "QAscentConfig",
    "QLearning",
    "QLearningConfig",
    "QRDQNConfig",
    "REINFORCEConfig",
    "REPSConfig",
    "RWRConfig",
    "ReverseKL",
    "ReverseKLConfig",
    "SACBCConfig",
    "SACConfig",
    "SACLite",
    "SACLiteConfig",
    "SACValue",
    "SACValueConfig",
    "SARSAConfig",
    "TD2Config",
    "TD3BCConfig",
    "TD3Config",
    "TRPOConfig",
    "load",
]


def load(
    path: str | os.PathLike,
    env: EnvLike | None = None,
    *,
    env_settings: Mapping[str, Any] | None = None,
    **settings: Any,
) -> Agent:
    """The agent of a file, whatever its algorithm: `rl.load(path, env, lr=1e-4)`, see `Agent.load`.

    Raises
    ------
    FileNotFoundError
        If there is no such file.
    ValueError
        If the file holds no agent, or one of an algorithm that is not in the list.
    """
    return class_of(path).load(path, env, env_settings=env_settings, **settings)


def class_of(path: str | os.PathLike) -> type[Agent]:
    """The class of the agent in a file; the errors are those of `load`."""
    if Path(path).is_dir():
        there = "; a run's agent is that of rl.training.resume.load_agent(folder)" if (Path(path) / CONFIG).is_file() else ""
        raise FileNotFoundError(f"expected an agent's file, given the folder {path}{there}")
    name = load_metadata(path).get("algorithm")
    if not isinstance(name, str) or name not in ALGORITHMS:
        raise ValueError(f"{path} holds no agent of {sorted(ALGORITHMS)}, given {name!r:.80}")
    return ALGORITHMS[name].cls
