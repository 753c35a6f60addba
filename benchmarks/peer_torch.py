"""The updates of DDPG, TD3 and SAC in PyTorch, eager, on a GPU, as its users write them: a peer of benchmarks.gpu_agents."""

import copy
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from rl.experience.replay import Batch

TAU, TARGET_ENTROPY, DELAY = 0.005, -6.0, 2


class Block(nn.Module):
    """h + W₂ relu(W₁ N(h))."""

    def __init__(self, width: int, inner: int):
        super().__init__()
        self.body = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, inner), nn.ReLU(), nn.Linear(inner, width))

    def forward(self, h):
        return h + self.body(h)


class Network(nn.Module):
    """Observations, with actions beside them or not, -> outputs; images go through Mnih et al.'s convolutions first."""

    def __init__(
        self, image: bool, vector: int, outputs: int, hidden: tuple[int, ...], blocks: tuple[int, ...] = (), width: int = 0
    ):
        super().__init__()
        conv = [nn.Conv2d(4, 32, 8, 4), nn.ReLU(), nn.Conv2d(32, 64, 4, 2), nn.ReLU(), nn.Conv2d(64, 64, 3, 1), nn.ReLU()]
        self.encoder = nn.Sequential(*conv, nn.Flatten(), nn.Linear(3136, 512), nn.ReLU()) if image else None
        inputs = vector + (512 if image else 0)
        if blocks:
            self.head = nn.Sequential(
                nn.Linear(inputs, width), *(Block(width, inner) for inner in blocks), nn.Linear(width, outputs)
            )
            return
        sizes, layers = (inputs, *hidden), []
        for i in range(len(hidden)):
            layers += [nn.Linear(sizes[i], sizes[i + 1]), nn.ReLU()]
        self.head = nn.Sequential(*layers, nn.Linear(sizes[-1], outputs))

    def forward(self, s, a=None):
        x = self.encoder(s.float() / 255) if self.encoder else s
        return self.head(x if a is None else torch.cat([x, a], 1))


def update(algorithm: str, settings: dict[str, Any], batch: Batch) -> Callable[[], dict]:
    """One gradient step of everything, from a batch of NumPy's arrays; returns losses as Python's numbers."""
    image = isinstance(batch.observations, tuple)
    hidden = settings.get("hidden", (256, 256))
    size, actions = 0 if image else batch.observations.shape[1], batch.actions.shape[1]
    critic = dict(blocks=settings.get("critic_blocks", ()), width=settings.get("block_width", 0))
    policy = Network(image, size, actions * (2 if algorithm == "SAC" else 1), hidden).cuda()
    critics = nn.ModuleList(
        Network(image, size + actions, 1, hidden, **critic) for _ in range(1 if algorithm == "DDPG" else 2)
    ).cuda()
    targets, target_policy = copy.deepcopy(critics), copy.deepcopy(policy)
    log_alpha = torch.zeros(1, device="cuda", requires_grad=True)
    of_policy, of_critics, of_alpha = (
        torch.optim.Adam(p, lr=3e-4) for p in (policy.parameters(), critics.parameters(), [log_alpha])
    )
    count = 0

    def moved(x):
        return torch.from_numpy(x[1] if isinstance(x, tuple) else x).cuda()

    def draw(s):
        mean, log_sigma = policy(s).chunk(2, 1)
        log_sigma, noise = log_sigma.clamp(-20, 2), torch.randn_like(mean)
        u = mean + log_sigma.exp() * noise
        density = -0.5 * noise**2 - log_sigma - 0.5 * math.log(2 * math.pi) - 2 * (math.log(2) - u - F.softplus(-2 * u))
        return torch.tanh(u), density.sum(1)

    def smallest(networks, s, a):
        values = [q(s, a)[:, 0] for q in networks]
        return values[0] if len(values) == 1 else torch.min(*values)

    def following(s):
        """Actions at s′, and what their entropy adds."""
        if algorithm == "SAC":
            a, log_prob = draw(s)
            return a, -log_alpha.exp() * log_prob
        a = torch.tanh(target_policy(s))
        noise = (0.2 * torch.randn_like(a)).clamp(-0.5, 0.5) if algorithm == "TD3" else 0
        return (a + noise).clamp(-1, 1), 0

    def follow(network, target):
        with torch.no_grad():
            slow, fast = list(target.parameters()), list(network.parameters())
            torch._foreach_lerp_(slow, fast, TAU)

    def step():
        nonlocal count
        count += 1
        s, s_next, a = moved(batch.observations), moved(batch.next_observations), moved(batch.actions)
        rewards, discounts, weights = moved(batch.rewards), moved(batch.discounts), moved(batch.weights)
        with torch.no_grad():
            a_next, bonus = following(s_next)
            y = rewards + discounts * (smallest(targets, s_next, a_next) + bonus)
        errors = [q(s, a)[:, 0] - y for q in critics]
        loss = sum((weights * e**2).mean() for e in errors)
        of_critics.zero_grad()
        loss.backward()
        of_critics.step()
        metrics = {"critic_loss": loss.item(), "errors": sum(e.detach().abs() for e in errors).cpu().numpy()}
        if algorithm == "TD3" and count % DELAY:
            return metrics
        critics.requires_grad_(False)
        if algorithm == "SAC":
            drawn, log_prob = draw(s)
            policy_loss = (log_alpha.exp().detach() * log_prob - smallest(critics, s, drawn)).mean()
        else:
            policy_loss = -critics[0](s, torch.tanh(policy(s))).mean()
        of_policy.zero_grad()
        policy_loss.backward()
        of_policy.step()
        critics.requires_grad_(True)
        if algorithm == "SAC":
            of_alpha.zero_grad()
            (-log_alpha * (log_prob.detach().mean() + TARGET_ENTROPY)).backward()
            of_alpha.step()
        else:
            follow(policy, target_policy)
        follow(critics, targets)
        return metrics | {"policy_loss": policy_loss.item()}

    return step
