"""What a damaged file would hand to the kernels of tables as an address is refused."""

import numpy as np
import pytest

from rl.experience.visits import Arrays, EpisodesUnderWay, Planned
from tests.rl.test_tabular_learners import A, N, S, agent_of, experience


@pytest.mark.parametrize(("name", "value"), [("tried", S * A), ("tried", -1), ("number", S * A + 1), ("next_states", S)])
def test_a_model_of_tables(name, value):
    agent = agent_of("DynaQ")
    state = {key: array.copy() for key, array in agent.model.state_dict().items()}
    state[name].flat[0] = value
    with pytest.raises(ValueError, match=rf"expected {name} in \["):
        agent.model.load_state_dict(state)


def test_arrays():
    arrays = Arrays(x=np.zeros(3), n=np.zeros(2, int))
    for wrong in ({"x": np.ones(3)}, {"x": np.ones(2), "n": np.zeros(2, int)}, {"x": np.ones(3), "n": np.zeros(2)}):
        with pytest.raises(ValueError, match="expected"):
            arrays.load_state_dict(wrong)
    assert (arrays["x"] == 0).all()


@pytest.mark.parametrize("actions", [[3], [-2], [0.5], [[0]]])
def test_planned_actions(actions):
    with pytest.raises(ValueError, match="expected planned actions"):
        Planned(A).load_state_dict({"actions": np.array(actions)})


@pytest.mark.parametrize(("name", "value"), [("lengths", 65), ("lengths", -1), ("states", S), ("actions", -1)])
def test_episodes_under_way(name, value):
    part = EpisodesUnderWay((S, A))
    part.begin(N)
    part.add(experience(0)[0], np.ones(N))
    state = {key: array.copy() for key, array in part.state_dict().items()}
    part.load_state_dict(state)
    state[name].flat[0] = value
    with pytest.raises(ValueError, match=f"expected {name} in"):
        part.load_state_dict(state)
