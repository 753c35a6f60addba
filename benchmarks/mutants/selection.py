"""Which tests are tried on a mutant of a file: those that mirror it first, then what else works with it.

A step is one run of pytest: files or patterns of files, and options. `{stem}` is the source file's name, `{folder}` its folder's.
Tests of the same name come first, `tests/rl/test_replay.py` for `rl/experience/replay.py`; then the steps of the first pattern
that matches the path, in their order, until a test fails.
"""

import fnmatch
import shlex
from pathlib import PurePosixPath

from benchmarks.mutants.sources import ROOT

OPS = "tests/deepnp/test_ops*.py -k {folder}.{stem}-"
MODULES = "tests/deepnp/test_module*.py tests/deepnp/test_structure.py tests/deepnp/test_models.py"
UPDATES, SETTINGS = "tests/rl/test_updates.py", "tests/rl/test_settings.py"
STORAGE = "tests/rl/test_replay.py tests/rl/test_rollout.py tests/rl/test_prioritized.py"
EXPERIENCE = f"{STORAGE} tests/rl/test_parts.py tests/rl/test_edges.py tests/rl/test_loops.py"
GOALS = "tests/rl/test_hindsight.py tests/rl/test_goals.py"
RUNS = "tests/rl/test_run_files.py tests/rl/test_interrupt.py tests/rl/test_callbacks.py"
TRAINING = f"tests/rl/test_training.py tests/rl/test_evaluations.py {RUNS}"
SPACES = "tests/rl/test_spaces.py tests/rl/test_environments.py"
LEARNERS = "tests/rl/test_a*.py tests/rl/test_c*.py tests/rl/test_off_policy.py tests/rl/test_ppo*.py"  # slow
OF_VALUES = "tests/rl/test_value_updates.py tests/rl/test_*dqn.py tests/rl/test_c51.py tests/rl/test_naf.py tests/rl/test_fqi.py"
OF_VALUES += " tests/rl/test_discrete_sac.py tests/rl/test_heads.py"
OF_TABLES = "tests/rl/test_tabular*.py"
OF_DATA = "tests/rl/test_offline*.py tests/rl/test_datasets*.py"
OF_MODELS = "tests/rl/test_model_updates.py tests/rl/test_learned*.py tests/rl/test_cross_entropy.py tests/rl/test_pets.py"
OF_MODELS += " tests/rl/test_mbpo.py tests/rl/test_mve.py tests/rl/test_dyna.py"
STEPS: dict[str, tuple[str, ...]] = {
    "deepnp/ops/activation/*": (OPS, "tests/deepnp/test_ops.py -k 'dense- or mlp-'", "tests/deepnp/test_activations.py", MODULES),
    "deepnp/ops/normalization/*": (OPS, "tests/deepnp/test_normalization*.py", MODULES),
    "deepnp/ops/convolution/*": (OPS, "tests/deepnp/test_convolution.py tests/deepnp/test_pooling.py", MODULES),
    "deepnp/ops/recurrent/*": (OPS, "tests/deepnp/test_recurrent*.py", MODULES),
    "deepnp/ops/attention/*": (OPS, "tests/deepnp/test_attention*.py", MODULES),
    "deepnp/ops/embedding/*": (OPS, "tests/deepnp/test_embedding.py", MODULES),
    "deepnp/ops/regularization/*": (OPS, "tests/deepnp/test_regularization.py", MODULES),
    "deepnp/ops/*": ("tests/deepnp/test_ops.py -k {stem}-", MODULES),
    "deepnp/layers/activation.py": ("tests/deepnp/test_activations.py tests/deepnp/test_signatures.py", MODULES),
    "deepnp/layers/attention.py": ("tests/deepnp/test_*attention.py", MODULES),
    "deepnp/layers/*normalization.py": ("tests/deepnp/test_normalization*.py", MODULES),
    "deepnp/layers/*convolution*.py": ("tests/deepnp/test_convolution.py", MODULES),
    "deepnp/layers/pooling.py": ("tests/deepnp/test_convolution.py tests/deepnp/test_pooling.py", MODULES),
    "deepnp/layers/*recurrent*.py": ("tests/deepnp/test_recurrent*.py", MODULES),
    "deepnp/layers/embedding.py": ("tests/deepnp/test_embedding.py", MODULES),
    "deepnp/layers/regularization.py": ("tests/deepnp/test_regularization.py", MODULES),
    "deepnp/layers/fusion.py": ("tests/rl/test_chains.py", MODULES, "tests/deepnp/test_[a-eg-z]*.py"),
    "deepnp/layers/*": (MODULES, "tests/deepnp/test_[a-eg-z]*.py"),
    "deepnp/losses/*": (
        "tests/deepnp/test_losses.py tests/deepnp/test_edges.py tests/deepnp/test_torch_losses.py",
        "tests/deepnp/test_ops.py -k losses",
    ),
    "deepnp/optim/schedules.py": ("tests/deepnp/test_schedules.py",),
    "deepnp/optim/*": (
        "tests/deepnp/test_optim*.py tests/deepnp/test_edges.py tests/deepnp/test_decay.py tests/deepnp/test_torch_optim.py",
        UPDATES,
    ),
    "deepnp/models/*": ("tests/deepnp/test_models.py tests/deepnp/test_fixtures.py", MODULES),
    "deepnp/metrics.py": ("tests/deepnp/test_metrics.py",),
    "deepnp/data.py": ("tests/deepnp/test_data.py",),
    "deepnp/headers.py": ("tests/deepnp/test_storage.py",),
    "deepnp/storage.py": ("tests/deepnp/test_storage.py",),
    "deepnp/files.py": ("tests/deepnp/test_storage.py",),
    "deepnp/backend.py": (MODULES, "tests/deepnp/test_[a-eg-z]*.py", "tests/gpu/test_gpu.py"),
    "deepnp/threads.py": ("tests/deepnp/test_threads.py tests/rl/test_off_policy.py",),
    "deepnp/spin.py": ("tests/deepnp/test_threads.py",),
    "deepnp/chooser.py": ("tests/deepnp/test_chooser.py",),
    "deepnp/erf.py": ("tests/deepnp/test_ops.py -k gelu-", "tests/deepnp/test_kernels.py"),
    "deepnp/elementary.py": ("tests/deepnp/test_kernels.py", "tests/deepnp/test_ops.py -k activation"),
    "deepnp/*": (MODULES, "tests/deepnp/test_[a-eg-z]*.py"),
    "rl/training/collect.py": (OF_DATA,),
    "rl/training/minari_data.py": (OF_DATA,),
    "rl/training/evaluation.py": ("tests/rl/test_loops.py", TRAINING),
    "rl/training/*": (TRAINING,),
    "rl/runs/*": (TRAINING,),
    "rl/losses/checks.py": ("tests/rl/test_guards.py", UPDATES),
    "rl/losses/distributional.py": (OF_VALUES,),
    "rl/losses/choices.py": (OF_VALUES,),
    "rl/losses/soft.py": (OF_VALUES,),
    "rl/losses/models.py": ("tests/deepnp/test_ops.py -k losses", OF_MODELS),
    "rl/losses/conservative.py": ("tests/deepnp/test_ops.py -k losses", OF_DATA),
    "rl/losses/advantage_weights.py": (OF_DATA,),
    "rl/losses/*": ("tests/rl/test_parts.py tests/rl/test_edges.py", "tests/deepnp/test_ops.py -k losses", UPDATES),
    "rl/algorithms/policy_gradient/ppo_[ek]*.py": ("tests/rl/test_ppo_epochs.py", LEARNERS),
    "rl/algorithms/policy_gradient/*": (f"{UPDATES} -k ppo", f"{SETTINGS} -k 'PPO or defaults'", LEARNERS),
    "rl/algorithms/value_based/*": (OF_VALUES, SETTINGS),
    "rl/algorithms/tabular/*": (OF_TABLES, SETTINGS),
    "rl/algorithms/offline/*": (OF_DATA, SETTINGS),
    "rl/algorithms/model_based/*": (OF_MODELS, SETTINGS),
    "rl/algorithms/*": (UPDATES, SETTINGS, LEARNERS),
    "rl/loops/fitted.py": (OF_VALUES, SETTINGS),
    "rl/loops/offline.py": (OF_DATA,),
    "rl/loops/planning.py": (OF_MODELS,),
    "rl/loops/*": ("tests/rl/test_loops.py", SETTINGS, LEARNERS),
    "rl/networks/*recall*.py": ("tests/rl/test_recalling.py tests/rl/test_recall.py",),
    "rl/networks/undivided.py": ("tests/rl/test_recalling*.py",),
    "rl/networks/own.py": ("tests/rl/test_own_networks.py",),
    "rl/networks/q_*.py": (OF_VALUES,),
    "rl/networks/naf.py": (OF_VALUES,),
    "rl/networks/dueling.py": (OF_VALUES,),
    "rl/networks/choice_critics.py": (OF_VALUES,),
    "rl/networks/conservative.py": (OF_DATA,),
    "rl/networks/dynamics*.py": (OF_MODELS,),
    "rl/networks/learned_model.py": (OF_MODELS,),
    "rl/networks/members.py": (OF_MODELS,),
    "rl/networks/*": ("tests/rl/test_edges.py tests/rl/test_chains.py", UPDATES, "tests/rl/test_distributions.py", LEARNERS),
    "rl/experience/samples.py": (f"{UPDATES} -k ppo", EXPERIENCE, LEARNERS),
    "rl/experience/rollout.py": (f"{UPDATES} -k ppo", EXPERIENCE, LEARNERS),
    "rl/experience/minibatches.py": (f"{UPDATES} -k ppo", EXPERIENCE, LEARNERS),
    "rl/experience/data*.py": (OF_DATA,),
    "rl/experience/imagined.py": (OF_MODELS,),
    "rl/experience/learned.py": (OF_MODELS,),
    "rl/experience/plans.py": (OF_MODELS,),
    "rl/experience/whole_returns.py": (OF_DATA,),
    "rl/experience/next_actions.py": (OF_DATA,),
    "rl/experience/[aest]*": (SPACES, GOALS, SETTINGS, LEARNERS),
    "rl/experience/*": (EXPERIENCE, GOALS, SETTINGS, LEARNERS),
    "rl/*": (SPACES, "tests/rl/test_loops.py tests/rl/test_interrupt*.py", UPDATES, SETTINGS, LEARNERS),
}


def steps_of(path: str) -> tuple[str, ...]:
    """The steps for a source file: pytest's arguments, one string each.

    Raises
    ------
    LookupError
        If there are none, or no file fits a step.
    """
    place = PurePosixPath(path)
    for pattern, steps in STEPS.items():
        if fnmatch.fnmatch(path, pattern):
            mirror = f"tests/{place.parts[0]}/test_{place.stem}.py"
            first = (mirror,) if (ROOT / mirror).exists() and mirror not in steps else ()
            return (*first, *(expand(step.format(stem=place.stem, folder=place.parent.name)) for step in steps))
    raise LookupError(f"no tests are listed for {path}: add it to benchmarks/mutants/selection.py")


def expand(step: str) -> str:
    """A step with the files that its patterns mean."""
    words: list[str] = []
    for word in shlex.split(step):
        words += sorted(str(p.relative_to(ROOT)) for p in ROOT.glob(word)) if word.endswith(".py") else [word]
    if not words or not words[0].endswith(".py"):
        raise LookupError(f'no file fits "{step}" in benchmarks/mutants/selection.py')
    return shlex.join(words)
