"""Mutants of methods that learn from a data set. All must die; see named.py."""

from benchmarks.mutants.sources import Named

DDQNBC, SARSA, FORWARD, REVERSE = (
    f"rl/algorithms/offline/{name}.py" for name in ("ddqn_bc", "fitted_sarsa", "forward_kl", "reverse_kl")
)
NEXT, RETURNS = "rl/experience/next_actions.py", "rl/experience/whole_returns.py"

OFFLINE = (
    Named(
        "DDQN+BC: κ is not in the gradient", DDQNBC, "q.dtype.type(c.imitation / c.choice_temperature)", "q.dtype.type(c.imitation)"
    ),
    Named("DDQN+BC: nothing is imitated", DDQNBC, "dq + share * dlogits", "dq"),
    Named(
        "DDQN+BC: its own target",
        DDQNBC,
        "double_value(self.policy, self.target_policy, s_next)",
        "double_value(self.policy, self.policy, s_next)",
    ),
    Named("SARSA: the best next choice", SARSA, "[np.arange(len(batch.rewards)), batch.next_actions]", ".max(axis=1)"),
    Named("SARSA: truncated steps count", NEXT, "known | memory", "known | True | memory"),
    Named("SARSA: terminated steps do not count", NEXT, "(known | memory.terminated.take(rows))", "known"),
    Named("SARSA: a in the place of a′", NEXT, "memory.actions.take(following", "memory.actions.take(rows"),
    Named("forward KL: gradients pass the bound", FORWARD, "np.abs(drawn) < 1", "np.abs(drawn) < 99"),
    Named("forward KL: actions leave the box", FORWARD, '.sample(self.rngs["noise"]).clip(-1, 1)', '.sample(self.rngs["noise"])'),
    Named("forward KL: its sign", FORWARD, "-1 / len(pi.mean), pi.mean.dtype", "1 / len(pi.mean), pi.mean.dtype"),
    Named("reverse KL: values go without it", REVERSE, "- self.now.beta * kl", "- 0 * kl"),
    Named(
        "reverse KL: the other direction",
        REVERSE,
        "float(pi.kl(b).mean()), pi.kl_backward(b, share)[:2]",
        "float(b.kl(pi).mean()), b.kl_backward(pi, share)[2:]",
    ),
    Named(
        "reverse KL: no clone", REVERSE, "metrics, errors = super()", "self.behavior.flat.data[...] = 0; metrics, errors = super()"
    ),
    Named("TD(λ): the rest counts twice", RETURNS, "rewards = rewards - np.where", "rewards = rewards + np.where"),
    Named("TD(λ): V a step too late", RETURNS, "self._later(rows, lengths - 1)", "self._later(rows, lengths)"),
    Named("TD(λ): 1 − λ for λ", RETURNS, "rng.geometric(1 - lam,", "rng.geometric(max(lam, 0.1),"),
    Named(
        "random data: the environment's own draws",
        "rl/training/collect.py",
        'spawn_rngs(seed, "actions")["actions"]',
        "np.random.default_rng(seed)",
    ),
)
