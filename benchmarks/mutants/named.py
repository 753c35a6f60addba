"""Mutants that once survived all tests, and must die. Each is found by its text, so it moves with the source."""

from benchmarks.mutants.named_models import MODELS
from benchmarks.mutants.named_offline import OFFLINE
from benchmarks.mutants.named_values import VALUES
from benchmarks.mutants.sources import Named

PPO_PAGE, PPO_SETTINGS = "rl/algorithms/policy_gradient/ppo.py", "rl/algorithms/policy_gradient/ppo_config.py"
PPO_LOSS, SURROGATE = "rl/algorithms/policy_gradient/ppo_loss.py", "rl/losses/surrogate.py"
SAC_PAGE, TD3_PAGE = "rl/algorithms/actor_critic/sac.py", "rl/algorithms/actor_critic/td3.py"
DDPG_PAGE, VALUE_PAGE = "rl/algorithms/actor_critic/ddpg.py", "rl/algorithms/actor_critic/sac_value.py"
STRETCHES = "rl/experience/stretches.py"
OFF_POLICY_LOOP, CRITICS, CHAINS = "rl/loops/off_policy.py", "rl/networks/critics.py", "rl/networks/chains.py"
COLLECTOR = "rl/experience/collector.py"

NAMED = (
    # PPO
    Named("λ is 1", PPO_PAGE, "c.gamma, c.lam, c.gae_horizon", "c.gamma, 1.0, c.gae_horizon"),
    Named("gae_horizon ignored", PPO_PAGE, "c.gamma, c.lam, c.gae_horizon", "c.gamma, c.lam, None"),
    Named("value_coef ignored", PPO_PAGE, "self.value_optimizer, c.value_coef * dvalues", "self.value_optimizer, dvalues"),
    Named("value_coef ignored by one trunk", PPO_PAGE, "gradient, c.value_coef * dvalues", "gradient, dvalues"),
    Named(
        "value_clip ignored",
        PPO_PAGE,
        "value_loss(values, old_values, targets, c.value_clip)",
        "value_loss(values, old_values, targets)",
    ),
    Named(
        "adam_eps of the policy ignored", PPO_PAGE, "Adam(self.policy.flat, c.lr, eps=c.adam_eps)", "Adam(self.policy.flat, c.lr)"
    ),
    Named(
        "adam_eps of the value ignored",
        PPO_PAGE,
        "Adam(self.value.flat, c.value_rate, eps=c.adam_eps)",
        "Adam(self.value.flat, c.value_rate)",
    ),
    Named("advantages always normalised", PPO_LOSS, "if c.normalize_advantages and size", "if size"),
    Named("advantages never normalised", PPO_LOSS, "if c.normalize_advantages and size > 1:", "if False:"),
    Named("the policy's gradient not clipped", PPO_PAGE, "gradient, c.max_grad_norm)", "gradient, 1e9)"),
    Named("the value's gradient not clipped", PPO_PAGE, "dvalues[:, None], c.max_grad_norm)", "dvalues[:, None], 1e9)"),
    Named("KL reversed", PPO_PAGE, "old.take(rows).kl(new)", "new.kl(old.take(rows))"),
    Named("KL of the epoch's first rows", PPO_PAGE, "rows = shuffled.last", "rows = shuffled.order[: len(shuffled.last)]"),
    Named("the rate of the value not annealed", PPO_PAGE, "self.value_optimizer.lr = c.value_rate", "pass"),
    Named("the rate never annealed", PPO_SETTINGS, "dict.fromkeys(rates, self.anneal_lr)", "{}"),
    Named("clip not annealed", PPO_SETTINGS, '"clip": self.anneal_clip', '"clip": False'),
    Named("entropy not annealed", PPO_SETTINGS, '"entropy_coef": self.anneal_entropy', '"entropy_coef": False'),
    Named("the entropy's sign", PPO_LOSS, "-c.entropy_coef / size", "c.entropy_coef / size"),
    Named(
        "the KL penalty pulls at the old policy", SURROGATE, "gradients[len(gradients) // 2 :]", "gradients[: len(gradients) // 2]"
    ),
    Named("the KL penalty without its weight", SURROGATE, "coefficient / len(kl), kl.dtype", "1 / len(kl), kl.dtype"),
    Named(
        "β of the KL falls where it should rise",
        "rl/algorithms/policy_gradient/kl_coefficient.py",
        "kl < target / 1.5",
        "kl > target / 1.5",
    ),
    Named("rollback forgets Adam", PPO_PAGE, "optimizer.load_state_dict(before[1])", "pass"),
    Named(
        "dead rows learned from",
        "rl/experience/rollout.py",
        "if self.valid.all():",
        "if True:",
    ),
    Named(
        "traces run through ends",
        "rl/experience/samples.py",
        "next_values, rollout.ended, gamma",
        "next_values, rollout.ended & False, gamma",
    ),
    Named(
        "bootstrap at terminations",
        "rl/experience/rollout.py",
        "np.where(terminated, 0, following)",
        "np.where(terminated & False, 0, following)",
    ),
    Named("truncated steps see the reset", "rl/experience/rollout.py", "following[t, n] = v", "pass"),
    # SAC
    Named("next value without entropy", SAC_PAGE, " - self.temperature.alpha * log_prob", ""),
    Named("noise of s′ reused for s", SAC_PAGE, "self.policy_optimizer, s, noise)", "self.policy_optimizer, s, noise_next)"),
    Named(
        "the temperature's sign",
        "rl/networks/temperature.py",
        "= -(float(log_prob.mean()) + self.target_entropy)",
        "= (float(log_prob.mean()) + self.target_entropy)",
    ),
    Named("SACValue's entropy sign", VALUE_PAGE, "q - alpha * log_prob", "q + alpha * log_prob"),
    Named(
        "SACValue's V unweighted", VALUE_PAGE, "log_prob, weights=batch.weights)", "log_prob, weights=np.ones_like(batch.weights))"
    ),
    Named("SACValue's Q unweighted", VALUE_PAGE, "y, weights=batch.weights)", "y, weights=np.ones_like(batch.weights))"),
    Named("SACValue's target stays", VALUE_PAGE, "self.value.follow(c.tau)", "pass"),
    Named(
        "SACLite with entropy",
        "rl/algorithms/actor_critic/sac_lite.py",
        "networks.critics.target(s_next, networks.policy.predict(s_next, noise)[0])",
        "super().next_value(networks, s_next, noise)",
    ),
    # TD3, DDPG
    Named("no smoothing", TD3_PAGE, "c.smoothing * self.rngs", "0 * self.rngs"),
    Named("no bound of the smoothing", TD3_PAGE, "np.clip(noise, -c.smoothing_clip, c.smoothing_clip)", "noise"),
    Named(
        "smoothed actions leave the range",
        TD3_PAGE,
        "(networks.target_policy.predict(s_next) + noise).clip(np.float32(-1), np.float32(1))",
        "networks.target_policy.predict(s_next) + noise",
    ),
    Named(
        "TD3: online policy in the target", TD3_PAGE, "networks.target_policy.predict(s_next)", "networks.policy.predict(s_next)"
    ),
    Named(
        "DDPG: online policy in the target", DDPG_PAGE, "networks.target_policy.predict(s_next)", "networks.policy.predict(s_next)"
    ),
    Named("delay ignored", TD3_PAGE, "self.critic_updates.count % c.delay == 0", "True"),
    Named(
        "TD3: critics' targets outside the delay",
        TD3_PAGE,
        "self.critic_updates.count += 1",
        "self.critic_updates.count += 1; self.critics.follow(c.tau)",
    ),
    Named(
        "TD3: the policy's target outside the delay",
        TD3_PAGE,
        "        self.critic_updates.count += 1",
        "        self.follow(c.tau); self.critic_updates.count += 1",
    ),
    Named("DDPG: the policy's target stays", DDPG_PAGE, "        self.follow(c.tau)", "        pass"),
    # Shared
    Named("target: the larger of two critics", CHAINS, "(values[0]).minimum, values", "(values[0]).maximum, values"),
    Named("the policy ascends the larger critic", CHAINS, ".argmin(axis=0)", ".argmax(axis=0)"),
    Named("the larger of two critics, in the kernel", CHAINS, "i == 0 or new[b] < values[b] or", "i == 0 or new[b] > values[b] or"),
    Named("the gradient of another row's action, in the kernel", CHAINS, "dactions[own[k]] = da[k]", "dactions[k] = da[k]"),
    Named("the critic's weights ignored, in the kernel", CHAINS, "weight * share * held", "share * held"),
    Named(
        "the second critic not trained",
        CRITICS,
        "zip(networks, optimizers, strict=True)",
        "zip(networks[:1], optimizers[:1], strict=True)",
    ),
    Named(
        "the critic's weights ignored",
        "rl/losses/td.py",
        "weighted = weights\n",
        "weighted = weights * 0 + 1\n",
    ),
    # memory of off-policy agents
    Named("states go on into the next episode", STRETCHES, "(position <= 0) | _ended(memory, before)", "position <= 0"),
    Named("burn-in not read", STRETCHES, "led=np.ones(", "led=np.zeros("),
    Named("s′ read as what follows an end, too", STRETCHES, "valid[1:] & ~ended[:-1]", "valid[1:]"),
    Named("dead steps begin no episode", OFF_POLICY_LOOP, "step.ended if collector.same_step else ~step.valid", "step.ended"),
    Named("final observation not stored", COLLECTOR, "write(following, slice(n, n + 1), observation)", "pass"),
    Named("updates ignored", OFF_POLICY_LOOP, "due * c.updates if", "due if"),
    Named(
        "update_interval ignored",
        OFF_POLICY_LOOP,
        "agent.steps // c.update_interval - max(before, c.warmup) // c.update_interval",
        "agent.steps - max(before, c.warmup)",
    ),
    Named("warmup ignored", OFF_POLICY_LOOP, "max(before, c.warmup)", "before"),
    Named("priorities never updated", OFF_POLICY_LOOP, "agent.memory.priorities.update(batch.rows, errors)", "pass"),
    Named(
        "newest rows weigh what the others do",
        OFF_POLICY_LOOP,
        "np.ones(len(rows) - len(weights), np.float32)",
        "np.full(len(rows) - len(weights), weights.min(), np.float32)",
    ),
    Named("evaluate without its mask", "rl/training/evaluation.py", "np.where(running, rewards, 0)", "rewards"),
    Named(
        "clip threshold × 1.01",
        "rl/losses/surrogate.py",
        "np.clip(ratio, 1 - clip, 1 + clip) * advantages",
        "np.clip(ratio, 1 - 1.01 * clip, 1 + 1.01 * clip) * advantages",
    ),
    Named(
        "clip threshold × 1.01 in the kernel",
        "rl/losses/surrogate.py",
        "min(max(ratio, 1 - clip), 1 + clip) * advantage",
        "min(max(ratio, 1 - 1.01 * clip), 1 + 1.01 * clip) * advantage",
    ),
    Named(
        "gradients clipped × 1.01",
        "deepnp/optim/clip.py",
        "g *= float(max_norm) / (norm + 1e-6)",
        "g *= 1.01 * float(max_norm) / (norm + 1e-6)",
    ),
    Named("gradients clipped late", "deepnp/optim/clip.py", "if norm > max_norm:", "if norm > 1.01 * max_norm:"),
    Named(
        "targets move too far, in the kernel",
        "deepnp/optim/polyak.py",
        "target[i] += tau * (source[i] - target[i])",
        "target[i] += 2 * tau * (source[i] - target[i])",
    ),
    *MODELS,
    *OFFLINE,
    *VALUES,
)
