"""Rays in three dimensions: against MuJoCo's own, thick ones against shapes that are thicker, and the arm that seeks with them."""

import gymnasium
import mujoco
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env

import envs  # noqa: F401  (registers deepnp/…)
from envs.bodies.body import Body
from envs.bodies.seek import SENSOR, ArmSeek
from envs.rays import BodyRays, RaySensor3D
from tests.envs import same

XML = """<mujoco><worldbody>
  <geom name="floor" type="plane" size="0 0 1" euler="3 5 0"/>
  <body name="ball" pos="1 0.2 0.6"><freejoint/><geom name="ball" type="sphere" size="{ball}"/></body>
  <body name="pill" pos="0.2 1 0.7" euler="40 20 0"><freejoint/><geom name="pill" type="capsule" size="{pill} 0.3"/></body>
  <body name="crate" pos="0.9 -0.5 0.9" euler="10 30 50"><freejoint/><geom name="crate" type="box" size="{crate}"/></body>
  <geom name="can" type="cylinder" size="0.1 0.1" pos="3 3 3"/>
  <site name="eye" pos="0 0 0.8" euler="12 -7 33"/>
</worldbody></mujoco>"""
GEOMS = {"floor": -1, "ball": 0, "pill": 1, "crate": 2}
WIDE = RaySensor3D(rows=31, columns=41, fov_rows=np.pi, fov_columns=np.pi, length=2.0, tags=3)


def scene(tmp_path, sensor, thicker=0.0, geoms=GEOMS):
    """A body with a sensor, in its initial state."""
    path, crate = tmp_path / "scene.xml", " ".join(str(half + thicker) for half in (0.2, 0.25, 0.15))
    path.write_text(XML.format(ball=0.25 + thicker, pill=0.12 + thicker, crate=crate))
    body = Body(path, 2, 1, 1, camera="track")
    rays = BodyRays(body, sensor, "eye", geoms)
    body.batch.forward(np.arange(2))
    return body, rays


def seen(rays, copies=2):
    out = np.full((copies, 3 + rays.sensor.size), 7, np.float32)
    rays.observe(out, 3)
    assert (out[:, :3] == 7).all()
    return out[:, 3:].reshape(copies, -1, 2 + rays.sensor.tags)


def mujocos(body, sensor, copy):
    """Distances and geoms by mj_multiRay."""
    data = body.batch.get_data(copy)
    mujoco.mj_forward(body.model, data)
    directions = sensor.directions() @ data.site("eye").xmat.reshape(3, 3).T
    distances, geoms = np.zeros(len(directions)), np.zeros(len(directions), np.int32)
    origin = data.site("eye").xpos
    args = None, 1, -1, geoms, distances, None, len(directions), mujoco.mjMAXVAL
    mujoco.mj_multiRay(body.model, data, origin, directions.ravel(), *args)
    return distances, geoms


def test_rays_meet_what_mujocos_do(tmp_path):
    body, rays = scene(tmp_path, WIDE)
    rng, kinds = np.random.default_rng(0), set()
    for _ in range(10):
        body.qpos[:] += rng.normal(0, 0.05, body.qpos.shape)
        body.batch.forward(np.arange(2))
        for copy, found in enumerate(seen(rays)):
            distances, geoms = mujocos(body, WIDE, copy)
            hit = (distances >= 0) & (distances < 2.0)
            np.testing.assert_array_equal(found[:, 0] == -1, ~hit)
            np.testing.assert_allclose(found[hit, 0] * 2.0, distances[hit], atol=2e-6)
            for name, tag in GEOMS.items():
                mine = found[:, 2 + tag] == 1 if tag >= 0 else found[:, 1] == 1
                np.testing.assert_array_equal(mine, hit & (geoms == body.model.geom(name).id))
                kinds |= {name} if mine.any() else set()
    assert kinds == set(GEOMS)


def test_thick_rays_meet_thicker_things(tmp_path):
    thick = RaySensor3D(rows=31, columns=41, fov_rows=np.pi, fov_columns=np.pi, length=2.0, tags=3, radius=0.05)
    others = {name: tag for name, tag in GEOMS.items() if name != "floor"}
    _, rays = scene(tmp_path, thick, geoms=others)
    _, thin = scene(tmp_path, WIDE, thicker=0.05, geoms=others)
    np.testing.assert_allclose(seen(rays), seen(thin), atol=1e-6)
    _, floor = scene(tmp_path, thick, geoms={"floor": -1})
    _, plain = scene(tmp_path, WIDE, geoms={"floor": -1})
    near, far = seen(floor)[0, :, 0], seen(plain)[0, :, 0]
    ratio = near[far > 0] / far[far > 0]  # all shorter in one proportion: the plane is nearer
    assert ratio.min() > 0.9
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-5)


@pytest.mark.parametrize("name", GEOMS)
def test_a_ray_that_begins_inside_has_distance_0(tmp_path, name):
    body, rays = scene(tmp_path, WIDE, geoms={name: GEOMS[name]})
    body.geom_xpos.flags.writeable = True
    body.geom_xpos[:, body.model.geom(name).id] = body.batch.bind("site_xpos")[:, 0]
    found = seen(rays)
    np.testing.assert_array_equal(found[..., 0], 0)
    assert (found.sum(-1) == 1).all()


def test_only_what_is_named_is_seen(tmp_path):
    _, rays = scene(tmp_path, WIDE, geoms={"pill": 1})
    found = seen(rays)
    assert found[..., 3].any()
    assert not found[..., [1, 2, 4]].any()


class TestDirections:
    def test_they_are_spread_evenly(self):
        rays = RaySensor3D(rows=3, columns=5, fov_rows=np.pi / 2, fov_columns=np.pi, length=1.0, tags=0).directions()
        np.testing.assert_allclose(np.linalg.norm(rays, axis=1), 1)
        np.testing.assert_allclose(rays[7], (1, 0, 0), atol=1e-12)  # the middle looks ahead
        np.testing.assert_allclose(rays[0], (0, -np.sqrt(0.5), -np.sqrt(0.5)), atol=1e-12)  # right and down
        np.testing.assert_allclose(rays[-1], (0, np.sqrt(0.5), np.sqrt(0.5)), atol=1e-12)

    def test_a_full_circle_has_no_ray_twice(self):
        rays = RaySensor3D(rows=1, columns=4, fov_rows=0.0, fov_columns=2 * np.pi, length=1.0, tags=0).directions()
        np.testing.assert_allclose(rays, [(1, 0, 0), (0, 1, 0), (-1, 0, 0), (0, -1, 0)], atol=1e-12)

    def test_one_ray_looks_ahead(self):
        rays = RaySensor3D(rows=1, columns=1, fov_rows=1.0, fov_columns=1.0, length=1.0, tags=0).directions()
        np.testing.assert_allclose(rays, [(1, 0, 0)])

    @pytest.mark.parametrize(
        "wrong",
        [
            *(dict(rows=0), dict(columns=1.5), dict(fov_rows=4.0), dict(fov_columns=-1), dict(length=0), dict(tags=-1)),
            *(dict(length=np.inf), dict(radius=-0.1), dict(radius=np.nan), dict(radius=np.inf), dict(fov_columns=6.3)),
        ],
    )
    def test_wrong_settings_are_refused(self, wrong):
        settings = dict(rows=2, columns=2, fov_rows=1.0, fov_columns=1.0, length=1.0, tags=1)
        with pytest.raises(ValueError, match=r"expected .*given"):
            RaySensor3D(**{**settings, **wrong})

    def test_wrong_geoms_are_refused(self, tmp_path):
        with pytest.raises(ValueError, match="planes, spheres, capsules or boxes for rays to meet, given 'can'"):
            scene(tmp_path, WIDE, geoms={"can": 0})
        with pytest.raises(ValueError, match=r"tags in \[-1, 3\), given 3 for 'ball'"):
            scene(tmp_path, WIDE, geoms={"ball": 3})


class TestArmSeek:
    def started(self, copies=4):
        core = ArmSeek(copies, num_threads=1)
        core.reset(np.arange(copies), [np.random.default_rng(i) for i in range(copies)])
        return core

    @pytest.mark.filterwarnings("ignore:.*infinity")
    def test_gymnasium_accepts_it(self):
        check_env(gymnasium.make("deepnp/ArmSeek-v0").unwrapped, skip_render_check=True)

    def test_rays_show_how_far_the_ball_is(self):
        """Put before the hand, along the middle ray."""
        core = self.started()
        forward = core.body.batch.bind("site_xmat")[:, 0].reshape(4, 3, 3)[:, :, 0]
        core._goal[:, 0] = core._hand[:, 0] + 0.3 * forward
        core.body.batch.forward(np.arange(4))
        rays = core.observe()[:, 30:].reshape(4, 60, 3)
        np.testing.assert_allclose(rays[:, 24, 0], 0.3 - 0.05 - 0.05, atol=1e-5)
        np.testing.assert_array_equal(rays[:, 24, 1:], [(0, 1)] * 4)

    def test_balls_are_seen_at_the_start_of_most_episodes(self):
        core = self.started(300)
        rays = core.observe()[:, 30:].reshape(300, 60, 3)
        assert (rays[..., 2] == 1).any(1).mean() > 0.5
        assert (rays[..., 1] == 1).any(1).all()

    def test_the_reward_is_minus_the_distance(self):
        core = self.started()
        rewards, terminated = core.step(np.zeros((4, 9), np.float32))
        np.testing.assert_allclose(rewards, -core.info()["goal_distance"], rtol=1e-6)
        assert not terminated.any()
        assert core.observation_space.shape == (30 + SENSOR.size,) == (210,)

    def test_states_continue(self):
        def make(copies, **settings):
            return gymnasium.make_vec("deepnp/ArmSeek-v0", copies, "vector_entry_point", autoreset_mode="SameStep", **settings)

        same.state_continues(make)
        same.threads_do_not_matter(make, 20)
