"""Mutants of values: of choices, of quadratic forms and in tables. All must die; see named.py."""

from benchmarks.mutants.sources import Named

DISTRIBUTIONS, DQN_PAGE, C51_PAGE = (
    "rl/losses/distributional.py",
    "rl/algorithms/value_based/dqn.py",
    "rl/algorithms/value_based/c51.py",
)
NAF_NETWORK, NAF_PAGE = "rl/networks/naf.py", "rl/algorithms/value_based/naf.py"
Q_STEPS, SOFT, ON_POLICY_SAC = "rl/networks/q_steps.py", "rl/losses/soft.py", "rl/algorithms/actor_critic/on_policy_sac.py"
SARSA_PAGE, OFF_POLICY_MC = "rl/algorithms/tabular/sarsa.py", "rl/algorithms/tabular/off_policy_monte_carlo.py"

VALUES = (
    # C51, QR-DQN
    Named(
        "C51: both neighbours get the same share", DISTRIBUTIONS, "probabilities * (1 - above_share)", "probabilities * above_share"
    ),
    Named("C51: returns of terminated steps go on", DISTRIBUTIONS, "+ discounts[:, None] * support", "+ discounts.max() * support"),
    Named(
        "C51: nothing is held on the support", DISTRIBUTIONS, "np.clip(rewards[:, None]", "np.add(0 * low * high + rewards[:, None]"
    ),
    Named(
        "C51: the online network judges", C51_PAGE, "probabilities(self.target_policy.outputs", "probabilities(self.policy.outputs"
    ),
    Named("C51: double ignored", C51_PAGE, "(self.policy if c.double else self.target_policy)", "self.target_policy"),
    Named("quantiles: the levels turned round", DISTRIBUTIONS, "(u < 0).astype", "(u > 0).astype"),
    Named("quantiles: the levels turned round, in the kernel", DISTRIBUTIONS, "below[i] if u < zero", "below[i] if u > zero"),
    Named("quantiles: linear from 0 on, in the kernel", DISTRIBUTIONS, "pulled * (u - half * held)", "pulled * u"),
    Named("quantiles: levels at the lower ends", DISTRIBUTIONS, "(np.arange(taken.shape[1]) + 0.5)", "np.arange(taken.shape[1])"),
    Named("quantiles: weights ignored", DISTRIBUTIONS, "dtaken * (weights / kind", "dtaken * (weights / weights / kind"),
    # DQN
    Named(
        "DQN: double, but the target chooses",
        "rl/networks/q_networks.py",
        "policy.predict(x).argmax(axis=1)]",
        "values.argmax(axis=1)]",
    ),
    Named("DQN: a periodic target copied each time", DQN_PAGE, "self.policy_optimizer.t % c.target_interval == 0", "True"),
    Named("DQN: a target that never moves", DQN_PAGE, "self.follow(c.tau)", "pass"),
    Named(
        "DQN: the network is its own target", DQN_PAGE, "q = self.target_policy.predict(s_next)", "q = self.policy.predict(s_next)"
    ),
    Named("DQN: the soft maximum without its rate", "rl/networks/q_networks.py", ".sum(axis=1)) / tau", ".sum(axis=1))"),
    Named(
        "draws of softmax without τ",
        "rl/networks/q_networks.py",
        "type(inverse_temperature) * values + rng",
        "type(1) * values + rng",
    ),
    Named(
        "dueling: the sum in the place of the mean", "rl/networks/dueling.py", "/ dq.dtype.type(self.choices)", "/ dq.dtype.type(1)"
    ),
    Named("the kernel of Q: weights ignored", Q_STEPS, "weights[b] * share * held", "share * held"),
    Named("the kernel of Q: errors not held", Q_STEPS, "else min(max(error, -limit), limit)", "else error"),
    Named(
        "FQI: targets move within a round",
        "rl/loops/fitted.py",
        "            result = agent",
        "            agent.freeze(); result = agent",
    ),
    # NAF
    Named("NAF: the form's sign", NAF_NETWORK, "return value - (scaled", "return value + (scaled"),
    Named("NAF: the upward slope of μ", NAF_NETWORK, "dmean = -(factor", "dmean = (factor"),
    Named("NAF: tanh taken as straight", NAF_NETWORK, " * (1 - mean * mean)", ""),
    Named(
        "NAF: the diagonal without its exponential",
        NAF_NETWORK,
        "dfactor[:, diagonal] *= factor",
        "dfactor[:, diagonal] *= 0 * factor + 1",
    ),
    Named("NAF: noise of L in the place of its inverse", NAF_NETWORK, "np.linalg.solve(", "np.matmul("),
    Named("NAF: its own target", NAF_PAGE, "self.target_policy.value(s_next)", "self.policy.value(s_next)"),
    # soft values of choices, on-policy SAC
    Named(
        "the soft value's entropy turned round", SOFT, "np.where(p > 0, values, 0) - values", "np.where(p > 0, values, 0) + values"
    ),
    Named("the policy of choices without its mean", SOFT, "p * (h - means[:, None])", "p * h"),
    Named(
        "DiscreteSAC: the larger critic",
        "rl/networks/choice_critics.py",
        "np.minimum.reduce([network.predict(observations) for network in self.targets",
        "np.maximum.reduce([network.predict(observations) for network in self.targets",
    ),
    Named(
        "DiscreteSAC: −A as target",
        "rl/algorithms/value_based/discrete_sac.py",
        "ENTROPY_SHARE * math.log(self.space.actions)",
        "-self.space.actions",
    ),
    Named(
        "OnPolicySAC: bootstrap at terminations",
        ON_POLICY_SAC,
        "np.where(rollout.terminated, 0, gamma)",
        "np.full(rollout.terminated.shape, gamma)",
    ),
    Named(
        "OnPolicySAC: s in the place of s′",
        ON_POLICY_SAC,
        "rollout.rewards, rollout.following(), discounts",
        "rollout.rewards, rollout.observations, discounts",
    ),
    # tables
    Named(
        "SARSA: truncated is terminated", SARSA_PAGE, "0.0 if t.terminated[n] else", "0.0 if t.terminated[n] or t.truncated[n] else"
    ),
    Named("SARSA: a′ drawn anew", SARSA_PAGE, "missing = planned < 0", "missing = planned < 99"),
    Named(
        "SARSA: an episode begins with the last one's a′", SARSA_PAGE, "t.terminated | t.truncated | ~t.valid, -1", "~t.valid, -1"
    ),
    Named(
        "Double Q: a table judges itself", "rl/algorithms/tabular/double_q_learning.py", "gamma * other[t.next", "gamma * q[t.next"
    ),
    Named("off-policy Monte Carlo: no weights", OFF_POLICY_MC, "w /= equals * trace.chances[n, k]", "pass"),
    Named("off-policy Monte Carlo: equal actions in full", OFF_POLICY_MC, "w /= equals * trace", "w /= trace"),
    Named("off-policy Monte Carlo: whole episodes", OFF_POLICY_MC, "if q[s, a] < best:", "if False:"),
    Named(
        "off-policy Monte Carlo: a truncated end is worth 0",
        OFF_POLICY_MC,
        "g, w = 0.0 if t.terminated[n] else",
        "g, w = 0.0 if True else",
    ),
    Named("Monte Carlo: every visit", "rl/algorithms/tabular/monte_carlo.py", "if first[states[k], actions[k]] == k:", "if True:"),
    Named("Dyna-Q: imagined terminations go on", "rl/algorithms/tabular/dyna_q.py", "0.0 if", "0.0 if False and"),
)
