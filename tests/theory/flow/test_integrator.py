import numpy as np
import pytest

from fiedler.theory.flow.integrator import Event, check_times, integrate

EXACT = 1e-8  # a relative tolerance of 1e-10 a step, over a few hundred steps
ROOT = 1e-8  # the time of an event, from states as exact

RATES = np.array([1.0, 0.1, 0.001])
START = np.array([1.0, -2.0, 3.0])


def decay(y):
    return -RATES * y


def exact(times):
    return START * np.exp(-np.multiply.outer(times, RATES))


@pytest.mark.parametrize("shape", [(3,), (1, 3), (3, 1)])
def test_states_at_the_requested_times(shape):
    times = np.array([0.0, 0.0, 0.01, 1.0, 5.0, 5.0, 300.0])
    found = integrate(
        lambda y: decay(y.reshape(3)).reshape(shape), START.reshape(shape), 500.0, times=times, implicit_limit=0
    )
    assert found.states.shape == (7, *shape)
    assert np.allclose(found.states.reshape(7, 3), exact(times), rtol=0, atol=EXACT)
    assert np.allclose(found.end_state.reshape(3), exact(500.0), rtol=0, atol=EXACT)
    assert found.implicit_from is None
    assert found.stopped_by is None
    assert found.end == 500.0


@pytest.mark.parametrize("end", [1e-6, 1.0, 700.0])
def test_any_time_can_be_asked_for_afterwards(end):
    found = integrate(decay, START, end, dense_output=True)
    times = np.sort(np.random.default_rng(0).random(200)) * end
    assert np.allclose(found.at(times), exact(times), rtol=0, atol=EXACT)
    assert np.allclose(found.at([0.0, end]), exact(np.array([0.0, end])), rtol=0, atol=EXACT)
    assert np.array_equal(found.at(0.0)[0], START)
    with pytest.raises(ValueError, match="after the end"):
        found.at(1.1 * end)


def test_the_clock_sees_only_ratios_of_time():
    # The same flow a million times slower takes the same steps.
    fast, slow = integrate(decay, START, 100.0), integrate(lambda y: 1e-6 * decay(y), START, 1e8)
    assert fast.steps == slow.steps
    assert np.allclose(fast.end_state, slow.end_state, rtol=0, atol=EXACT)


class TestStiff:
    """A fast direction that is forced to follow a slow one: y1' = -1000 (y1 - y0), y0' = -y0 / 100."""

    end = 200.0

    @staticmethod
    def velocity(y):
        return np.array([-y[0] / 100, -1000 * (y[1] - y[0])])

    @staticmethod
    def solution(t):
        slow = np.exp(-np.asarray(t) / 100)
        follow = 1000 / (1000 - 1 / 100)
        return np.stack([slow, follow * slow - follow * np.exp(-1000 * np.asarray(t))], axis=-1)

    def test_implicit_steps_take_over(self):
        times = np.geomspace(1e-4, self.end, 50)
        quick = integrate(self.velocity, np.array([1.0, 0.0]), self.end, times=times, dense_output=True)
        plain = integrate(self.velocity, np.array([1.0, 0.0]), self.end / 20, implicit_limit=0)
        assert 0 < quick.implicit_from < 10
        assert quick.steps < 1000 < plain.steps  # a twentieth of the way
        assert plain.implicit_from is None
        assert np.allclose(quick.states, self.solution(times), rtol=0, atol=EXACT)
        between = np.linspace(0.5, self.end, 333)
        assert np.allclose(quick.at(between), self.solution(between), rtol=0, atol=EXACT)

    def test_a_velocity_of_stacks_is_called_less_often_for_the_same_steps(self):
        def counted(vectorized):
            calls = []

            def velocity(y):  # of the state as a row, to have a shape of more than one axis
                calls.append(y.ndim)
                return np.stack([-y[..., 0] / 100, -1000 * (y[..., 1] - y[..., 0])], axis=-1)

            found = integrate(velocity, np.array([[1.0, 0.0]]), self.end, vectorized=vectorized)
            assert found.implicit_from is not None
            return found, calls

        (plain, single), (quick, stacks) = counted(False), counted(True)
        assert set(single) == {2}
        assert set(stacks) == {2, 3}
        assert len(stacks) < len(single)
        assert quick.steps == plain.steps
        assert np.array_equal(quick.end_state, plain.end_state)

    def test_a_large_state_stays_explicit(self):
        found = integrate(self.velocity, np.array([1.0, 0.0]), 2.0, implicit_limit=1)
        assert found.implicit_from is None
        assert np.allclose(found.end_state, self.solution(2.0), rtol=0, atol=EXACT)

    def test_events_are_found_in_implicit_steps(self):
        event = Event("half", lambda y: 0.5 - y[0])
        found = integrate(self.velocity, np.array([1.0, 0.0]), self.end, events=[event])
        assert found.implicit_from < found.event_times["half"]
        assert found.event_times["half"] == pytest.approx(100 * np.log(2), rel=ROOT)

    def test_a_state_at_rest_is_held(self):
        def velocity(y):
            return -np.array([1.0, 1000.0]) * (y - 1.0)

        times = [1.0, 1e6, 1e12]
        found = integrate(velocity, np.array([3.0, 2.0]), 1e12, times=times, dense_output=True)
        assert found.implicit_from is not None
        assert found.steps < 3000
        assert np.allclose(found.states, [[1 + 2 / np.e, 1], [1, 1], [1, 1]], rtol=0, atol=EXACT)
        assert np.allclose(found.at([1e7, 1e11]), 1, rtol=0, atol=EXACT)
        assert found.end == 1e12


class TestEvents:
    half = Event("half", lambda y: 0.5 - y[0])
    never = Event("never", lambda y: y[0] - 1.5)
    always = Event("always", lambda y: 1.0)

    def test_times(self):
        found = integrate(decay, START, 50.0, events=[self.half, self.never, self.always])
        assert found.event_times["half"] == pytest.approx(np.log(2), rel=ROOT)
        assert found.event_times["never"] == np.inf
        assert found.event_times["always"] == 0.0

    def test_only_the_first_time_counts(self):
        def turn(y):  # a circle
            return np.array([-y[1], y[0]])

        found = integrate(turn, np.array([1.0, 0.0]), 20.0, events=[Event("left", lambda y: -y[0])])
        assert found.event_times["left"] == pytest.approx(np.pi / 2, rel=ROOT)

    def test_a_terminal_event_ends_the_flow(self):
        stop = Event("stop", lambda y: 0.25 - y[0], terminal=True)
        late = Event("late", lambda y: 0.2499999 - y[0])
        times = [0.0, 1.0, 1.3, 1.4, 30.0]
        found = integrate(decay, START, 50.0, times=times, events=[self.half, late, stop], dense_output=True)
        assert found.stopped_by == "stop"
        assert found.end == pytest.approx(np.log(4), rel=ROOT)
        assert np.array_equal(found.times, [0.0, 1.0, 1.3])
        assert np.allclose(found.states, exact(np.array(times[:3])), rtol=0, atol=EXACT)
        assert np.allclose(found.end_state, exact(np.log(4)), rtol=0, atol=EXACT)
        assert found.event_times["half"] == pytest.approx(np.log(2), rel=ROOT)
        assert found.event_times["late"] == np.inf
        assert np.allclose(found.at(found.end), exact(np.log(4)), rtol=0, atol=EXACT)
        with pytest.raises(ValueError, match="after the end"):
            found.at(2.0)

    def test_the_first_of_two_terminal_events_in_one_step_wins(self):
        events = [Event(str(x), lambda y, x=x: x - y[0], terminal=True) for x in (0.5, 0.5001, 0.4999)]
        assert integrate(decay, START, 50.0, events=events).stopped_by == "0.5001"

    def test_a_terminal_event_at_the_start(self):
        events = [Event("now", lambda y: 0.0, terminal=True)]
        found = integrate(decay, START, 50.0, times=[0.0, 1.0], events=events, dense_output=True)
        assert (found.end, found.stopped_by, found.steps) == (0.0, "now", 0)
        assert np.array_equal(found.end_state, START)
        assert np.array_equal(found.states, START[None])
        assert np.array_equal(found.at([0.0, 0.0]), [START, START])


def test_a_start_at_rest_or_at_zero():
    assert np.array_equal(integrate(lambda y: 0 * y, START, 1e9).end_state, START)
    assert np.allclose(integrate(lambda y: 1 - y, np.zeros(2), 1.0).end_state, 1 - np.exp(-1), rtol=0, atol=EXACT)
    assert np.array_equal(integrate(decay, START, 0.0, times=[0.0]).states, START[None])


def test_a_looser_tolerance_takes_fewer_steps():
    loose, tight = (integrate(decay, START, 100.0, rtol=rtol) for rtol in (1e-4, 1e-10))
    assert loose.steps < tight.steps / 2
    assert np.allclose(loose.end_state, exact(100.0), rtol=0, atol=1e-3)


def test_bad_input_is_refused():
    with pytest.raises(ValueError, match="end must be"):
        integrate(decay, START, -1.0)
    with pytest.raises(ValueError, match="end must be"):
        integrate(decay, START, np.inf)
    with pytest.raises(ValueError, match="end must be"):
        integrate(decay, START, 1.0, times=[2.0])
    with pytest.raises(ValueError, match="times must be"):
        integrate(decay, START, 1.0, times=[0.5, 0.1])
    with pytest.raises(ValueError, match="rtol"):
        integrate(decay, START, 1.0, rtol=0.5)
    with pytest.raises(ValueError, match="same name"):
        integrate(decay, START, 1.0, events=[TestEvents.half, TestEvents.half])
    with pytest.raises(RuntimeError, match="dense_output"):
        integrate(decay, START, 1.0).at(0.5)
    with pytest.raises(RuntimeError, match="could not be integrated to t = 2"):
        integrate(lambda y: y**2, np.ones(1), 2.0)  # 1 / (1 - t)
    assert np.array_equal(check_times(3), [3.0])


def test_a_velocity_of_another_shape_is_refused():
    for velocity, message in (
        (lambda y: y[:1], r"must have the shape of start, \(2,\); got \(1,\)"),
        (lambda y: y * np.nan, r"velocity\(start\) holds NaN"),
    ):
        with pytest.raises(ValueError, match=message):
            integrate(velocity, np.ones(2), 1.0)


def test_the_smallest_start_there_is():
    assert integrate(lambda y: -y, np.array([5e-324]), 1.0).end_state == pytest.approx([0.0], abs=1e-300)
