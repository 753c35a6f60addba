"""Mutants of learned models and of what learns in them. All must die; see named.py."""

from benchmarks.mutants.sources import Named

LOSSES, NETWORK, FIT = "rl/losses/models.py", "rl/networks/dynamics.py", "rl/networks/dynamics_fit.py"
MODEL, ROLLOUTS, VECTOR = "rl/networks/learned_model.py", "rl/experience/imagined.py", "rl/experience/learned.py"
DYNA, MBA, MBPO = (f"rl/algorithms/model_based/{name}.py" for name in ("dyna", "mba", "mbpo"))
MVE, PETS = (f"rl/algorithms/model_based/{name}.py" for name in ("mve", "pets"))
SEARCH, CONFIG = "rl/solvers/cross_entropy.py", "rl/algorithms/model_based/config.py"

MODELS = (
    # the likelihood
    Named("model: the sign of ln v", LOSSES, "(error * scaled + log_variance)", "(error * scaled - log_variance)"),
    Named("model: the slope in ln v", LOSSES, "(1 - error * scaled)", "(1 + error * scaled)"),
    Named("model: bounds pushed apart", LOSSES, ".sum(axis=(0, 1)) - mean.dtype.type(BOUND_COEF)", ".sum(axis=(0, 1))"),
    # what members say
    Named("model: v in deviations", NETWORK, "* (scale * scale)", "* scale"),
    Named("model: nothing is drawn", NETWORK, "if rng is not None and self.gaussian:", "if False:"),
    Named("model: the change in the place of s′", NETWORK, "mean[:, :-1] += observations", "pass"),
    Named("model: predictions run away", NETWORK, "np.clip(mean, self.lowest.data, self.highest.data)", "mean"),
    Named("model: ends turned round", NETWORK, "mean[:, -1], logits > 0", "mean[:, -1], logits < 0"),
    # the fit
    Named("fit: the worst are elites", FIT, "np.argsort(best,", "np.argsort(-best,"),
    Named(
        "fit: no bootstrap",
        FIT,
        "seen[rng.integers(len(seen), size=(model.members, len(seen)))]",
        "np.stack([seen] * model.members)",
    ),
    Named("fit: held-out rows are learned from", FIT, "(order[:held], order[held:]) if held", "(order[:held], order) if held"),
    Named("fit: the last parameters are kept", FIT, "own[better] = p.data[better]", "own[...] = p.data"),
    Named("fit: never stops early", FIT, "waited <= plan.patience", "waited <= plan.epochs"),
    Named("fit: stopped by squares", FIT, "(squares * np.exp(-log_variance) + log_variance)", "(squares + 0 * log_variance)"),
    Named("fit: ends do not count", FIT, "(numbers.sum(axis=1) + ends)", "(numbers.sum(axis=1) + 0 * ends)"),
    Named("fit: raw changes", FIT, "values.std(axis=0, dtype=np.float64) + TINY", "values.std(axis=0, dtype=np.float64) ** 0"),
    # the model of an agent
    Named("model: fitted a step late", MODEL, "steps - self.fitted.count >= interval", "steps - self.fitted.count > interval"),
    Named("model: one elite for all", MODEL, "rng.integers(len(self.network.elites), size", "0 * rng.integers(2, size"),
    Named("model: ends although they never do", MODEL, "ended if self.ends else np.zeros_like(ended)", "ended"),
    Named("model: known rewards are ignored", MODEL, "rewards = known", "pass"),
    Named("model: a known rule is ignored", MODEL, "if callable(self.ends):", "if False:"),
    Named("model: imagined ends go on", MODEL, "np.where(ended, np.float32(0), np", "np.where(ended & False, np.float32(0), np"),
    Named("model: one elite ends it for all", MODEL, "ended.mean(axis=0) > 0.5", "ended.mean(axis=0) > 0"),
    # rollouts
    Named("rollouts go on from terminated states", VECTOR, "ended = terminated | (self.lengths", "ended = (self.lengths"),
    Named("rollouts: truncated is terminated", VECTOR, "terminated, ended & ~terminated", "ended, ended & ~ended"),
    Named(
        "rollouts: the next branch's state in the place of s′",
        ROLLOUTS,
        "following = following_of(collector, step)",
        "following = trees.vector(collector.observations)",
    ),
    # the algorithms
    Named("MVE: γ once", MVE, "discounts * np.float32(self.config.gamma)", "discounts * np.float32(1)"),
    Named("MVE: ends go on", MVE, "np.where(ended, np.float32(0), discounts", "np.where(ended & False, np.float32(0), discounts"),
    Named("MVE: the online policy", MVE, "self.target_policy.predict(", "self.policy.predict("),
    Named("MVE: rewards in full", MVE, "rewards + discounts * r", "rewards + r"),
    Named(
        "Dyna: real outcomes",
        DYNA,
        'self.model.imagined(self.memory.batch(rows, c.gamma), c.gamma, self.rngs["model"])',
        "self.memory.batch(rows, c.gamma)",
    ),
    Named("MBA: real outcomes", MBA, 'self.model.imagined(rows, c.gamma, self.rngs["model"])', "rows"),
    Named(
        "MBPO: no noise in what is imagined",
        MBPO,
        "self.act(self.observe(observations), rng)",
        "self.act(self.observe(observations), None)",
    ),
    Named(
        "MBPO: from states that terminated",
        MBPO,
        "trees.vector(self.memory.observations)",
        "trees.vector(self.memory.next_observations)",
    ),
    Named("MBPO: a memory too small", MBPO, "self.imagined_memory < self.rollouts * longest", "False"),
    Named("models: hindsight", CONFIG, '("recall", "hindsight")', '("recall",)'),
    Named("PETS: γ once", PETS, "np.float32(c.gamma**t)", "np.float32(c.gamma)"),
    Named("PETS: rewards after the end", PETS, "valid = np.where(ended, np.float32(0), valid)", "pass"),
    Named("PETS: TS1 and TS∞ exchanged", PETS, 'if c.propagation == "TS1"', 'if c.propagation != "TS1"'),
    Named("PETS: each search from nothing", PETS, "self.plan(s, mean, rng)", "self.plan(s, 0 * mean, rng)"),
    Named("PETS: plans of dead steps go on", PETS, "if not self.collector.same_step:", "if False:"),
    Named("search: the worst are elites", SEARCH, "np.argsort(-scores", "np.argsort(scores"),
    Named("search: the variance is forgotten", SEARCH, "variance = keep * variance", "variance = 0 * variance"),
    Named("search: draws leave the box", SEARCH, "variance = np.minimum(variance, room * room)", "pass"),
)
