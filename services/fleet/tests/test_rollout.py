"""Rolling out: order, bounds, failures, and going on after a kill -9."""

from __future__ import annotations

import json
import os
import signal
import time
from pathlib import Path

import pytest

from infra.processes import wait_until
from services.fleet import journal
from services.fleet.helm import Helm
from services.fleet.tests.conftest import DISTRICT, EARLY, FIRST, LATE, SECOND, Desk

EVERY = 9


def test_parents_come_before_their_children_and_rings_in_their_order(desk: Desk) -> None:
    done = desk.run("apply", "--parallel", "3")
    assert done.returncode == 0, done.stderr
    order = desk.upgraded()
    assert order[:2] == [DISTRICT, FIRST]
    assert set(order[2:5]) == set(EARLY)
    assert order[5] == SECOND
    assert set(order[6:]) == set(LATE)
    assert "完成 done 9" in done.stdout


def test_no_more_than_so_many_run_at_once_and_as_many_as_may(desk: Desk) -> None:
    desk.run("apply", "--parallel", "2", FAKE_HELM_S="0.3")
    marks = [(call["at"], 1) for call in desk.calls()] + [(call["at"], -1) for call in desk.calls(event="end")]
    now = most = 0
    for _, change in sorted(marks):
        now += change
        most = max(most, now)
    assert most == 2


def test_only_an_upgrade_is_taken_back_when_it_fails(desk: Desk) -> None:
    desk.run("apply")
    assert not any("--rollback-on-failure" in call["words"] for call in desk.calls())
    desk.forget_calls()
    desk.run("apply")
    assert all("--rollback-on-failure" in call["words"] for call in desk.calls())


def test_helm_3_is_told_in_its_own_words(desk: Desk) -> None:
    desk.run("apply", FAKE_HELM_VERSION="v3.17.2+g0")
    desk.forget_calls()
    assert desk.run("apply", FAKE_HELM_VERSION="v3.17.2+g0").returncode == 0
    assert all("--atomic" in call["words"] for call in desk.calls())
    assert "--all" in desk.calls("list")[0]["words"]


def test_a_ring_with_too_many_failures_stops_the_rollout(desk: Desk) -> None:
    done = desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    assert done.returncode == 1
    assert desk.upgraded() == [DISTRICT, FIRST, *EARLY[:2]]
    assert "未做 not begun 5" in done.stdout
    assert f"失败 failed {EARLY[1]}: Error: UPGRADE FAILED: timed out waiting for the condition" in done.stderr
    assert f"{EARLY[1]}.log" in done.stderr


def test_failures_within_the_limit_let_the_others_go_on_and_are_told_at_the_end(desk: Desk) -> None:
    done = desk.run("apply", "--max-failures", "1", FAKE_HELM_FAIL=EARLY[1])
    assert done.returncode == 1
    assert len(desk.upgraded()) == EVERY
    assert "失败 failed 1" in done.stdout


def test_children_of_a_parent_that_failed_wait(desk: Desk) -> None:
    done = desk.run("apply", "--max-failures", "5", FAKE_HELM_FAIL=SECOND)
    assert done.returncode == 1
    assert set(desk.upgraded()) == {DISTRICT, FIRST, *EARLY, SECOND}
    assert "未做 not begun 3" in done.stdout


def test_after_a_stop_the_same_command_does_only_what_is_left(desk: Desk) -> None:
    desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    desk.forget_calls()
    assert desk.run("apply").returncode == 0
    assert set(desk.upgraded()) == {*EARLY[1:], SECOND, *LATE}
    desk.forget_calls()
    desk.run("apply")
    assert len(desk.upgraded()) == EVERY, "a run that ended well is over; the next one is a new one"


def test_fresh_begins_anew_and_changed_touches_only_what_changed(desk: Desk) -> None:
    desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    desk.forget_calls()
    desk.run("apply", "--fresh")
    assert len(desk.upgraded()) == EVERY
    desk.forget_calls()
    (desk.fleet / "overrides" / f"{SECOND}.yaml").write_text("gateway: {replicas: 3}\n")
    assert desk.run("apply", "--changed").returncode == 0
    assert desk.upgraded() == [SECOND]
    desk.forget_calls()
    (desk.charts / "village" / "Chart.yaml").write_text("name: village\nversion: 2\n")
    desk.run("apply", "--changed")
    assert set(desk.upgraded()) == {*EARLY, *LATE}


def test_a_change_in_the_library_behind_a_link_changes_every_chart(desk: Desk) -> None:
    library = desk.charts / "common" / "templates"
    library.mkdir(parents=True)
    (library / "_pod.tpl").write_text("one")
    for name in ("district", "town", "village"):
        (desk.charts / name / "charts").mkdir()
        (desk.charts / name / "charts" / "common").symlink_to("../../common")
    desk.run("apply")
    desk.forget_calls()
    desk.run("apply", "--changed")
    assert desk.upgraded() == []
    (library / "_pod.tpl").write_text("two")
    desk.run("apply", "--changed")
    assert len(desk.upgraded()) == EVERY


def test_what_changed_meanwhile_is_done_again_when_a_run_goes_on(desk: Desk) -> None:
    desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    desk.forget_calls()
    (desk.fleet / "overrides" / f"{DISTRICT}.yaml").write_text("a: 1\n")
    desk.run("apply")
    assert DISTRICT in desk.upgraded()
    assert FIRST not in desk.upgraded()


def test_killed_in_the_middle_it_goes_on_and_repeats_nothing_that_was_done(desk: Desk) -> None:
    process = desk.start("apply", "--parallel", "2", FAKE_HELM_S="0.8")
    # It has just begun, so it does not end of itself while the signal is on its way.
    assert wait_until(lambda: EARLY[2] in half_way(desk), 60)
    process.send_signal(signal.SIGKILL)
    process.communicate()
    (run,) = journal.read(desk.state / "journal.jsonl")
    assert run.unfinished
    assert 2 <= len(run.done) < EVERY
    wait_until(lambda: not any(_alive(call["pid"]) for call in desk.calls()), 10)
    half = half_way(desk)
    assert half, "helm ends with us, so what it was at is left half way"
    desk.forget_calls()
    done = desk.run("apply")
    assert done.returncode == 0, done.stderr
    assert not set(desk.upgraded()) & set(run.done)
    assert {call["words"][1] for call in desk.calls("rollback")} == {f"zz-{code}" for code in half}
    assert all(desk.release(code)["status"] == "deployed" for code in (DISTRICT, FIRST, SECOND, *EARLY, *LATE))


def half_way(desk: Desk) -> list[str]:
    """Releases that helm was at and is not through with."""
    codes = (path.stem.removeprefix("zz-") for path in desk.helm_state.glob("zz-*.json"))
    return [code for code in codes if desk.release(code)["status"].startswith("pending")]


def _alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_a_journal_cut_off_in_the_middle_of_a_line_is_read_up_to_there(desk: Desk) -> None:
    desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    path = desk.state / "journal.jsonl"
    whole = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(whole[:-2]) + whole[-2][:20])
    desk.forget_calls()
    assert desk.run("apply").returncode == 0
    assert DISTRICT not in desk.upgraded()
    assert all(json.loads(line) for line in path.read_bytes().splitlines() if line != whole[-2][:20])


def test_ctrl_c_lets_what_runs_end_and_begins_nothing_more(desk: Desk) -> None:
    process = desk.start("apply", "--parallel", "1", FAKE_HELM_S="0.5")
    assert wait_until(lambda: len(desk.calls()) >= 2, 30)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 1
    assert len(desk.calls()) == len(desk.calls(event="end")) <= 3
    assert "未做 not begun" in out
    assert "从停下的地方继续" in err


def test_two_rollouts_at_once_are_refused(desk: Desk) -> None:
    first = desk.start("apply", FAKE_HELM_S="1")
    assert wait_until(lambda: bool(desk.calls()), 30)
    second = desk.run("apply")
    assert second.returncode == 2
    assert "正在运行" in second.stderr
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=30)


def test_rolling_back_takes_children_before_parents_and_leaves_first_installations(desk: Desk) -> None:
    desk.run("apply", "--below", FIRST)
    desk.run("apply", FAKE_HELM_FAIL="")
    desk.forget_calls()
    done = desk.run("rollback", "--parallel", "1")
    assert done.returncode == 0, done.stderr
    order = [call["words"][1].removeprefix("zz-") for call in desk.calls("rollback")]
    assert order == [*EARLY, FIRST], "what this run installed first has no revision to go back to"
    assert {call["words"][2] for call in desk.calls("rollback")} == {"1"}


@pytest.mark.parametrize(
    ("words", "wanted"),
    [
        (["--tier", "town"], {FIRST, SECOND}),
        (["--ring", "0", "--ring", "1"], {DISTRICT, FIRST, *EARLY}),
        (["--below", SECOND], {SECOND, *LATE}),
        (["--below", SECOND, "--tier", "village"], set(LATE)),
        ([EARLY[0], LATE[0]], {EARLY[0], LATE[0]}),
    ],
)  # fmt: skip
def test_releases_are_chosen_by_tier_ring_code_and_place(desk: Desk, words: list[str], wanted: set[str]) -> None:
    assert desk.run("apply", *words).returncode == 0
    assert set(desk.upgraded()) == wanted


def test_a_dry_run_shows_every_command_and_runs_none(desk: Desk) -> None:
    done = desk.run("apply", "--dry-run")
    assert len(done.stdout.splitlines()) == EVERY
    assert all(" upgrade --install zz-" in line for line in done.stdout.splitlines())
    assert desk.calls() == []
    assert not (desk.state / "journal.jsonl").exists()


def test_diff_tells_what_would_change_and_nothing_when_nothing_would(desk: Desk) -> None:
    assert desk.run("diff").returncode == 1
    desk.run("apply")
    same = desk.run("diff")
    assert (same.returncode, "9 个中有 0 个会变" in same.stdout) == (0, True)
    (desk.fleet / "overrides" / f"{SECOND}.yaml").write_text("a: 1\n")
    changed = json.loads(desk.run("diff", "--json").stdout)
    assert changed == {SECOND: [["~", f"ConfigMap zongzhi-{SECOND}/zz-{SECOND}"]]}
    assert "+  values" in desk.run("diff", "--full", SECOND).stdout


def test_status_tells_missing_failed_and_deployed_apart(desk: Desk) -> None:
    desk.run("apply", "--parallel", "1", FAKE_HELM_FAIL=EARLY[1])
    told = desk.run("status", "--json")
    found = {row["code"]: row["status"] for row in json.loads(told.stdout)["releases"]}
    assert told.returncode == 1
    assert (found[DISTRICT], found[EARLY[1]], found[SECOND]) == ("deployed", "failed", "missing")
    assert json.loads(told.stdout)["last_run"]["outcome"] == "stopped"
    desk.run("apply")
    assert desk.run("status").returncode == 0


def test_render_writes_a_file_per_release(desk: Desk, tmp_path: Path) -> None:
    assert desk.run("render", "--out", str(tmp_path / "out")).returncode == 0
    assert len(list((tmp_path / "out").glob("*.yaml"))) == EVERY


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["apply", "341799999999"], "没有 341799999999"),
        (["apply", "--tier", "town", "--ring", "0"], "没有符合条件"),
        (["rollback"], "还没有发布过"),
        (["apply", "--helm", "/nowhere/helm"], "找不到 helm"),
        (["apply", "--charts", "/nowhere"], "找不到 chart"),
        (["plan", "--fleet", "/nowhere"], "tiers.csv"),
    ],
)  # fmt: skip
def test_a_mistake_is_one_sentence_and_exit_code_two(desk: Desk, words: list[str], says: str) -> None:
    done = desk.run(*words)
    assert done.returncode == 2, done.stderr
    assert says in done.stderr
    assert "Traceback" not in done.stderr


def test_progress_is_told_for_every_release(desk: Desk) -> None:
    told = desk.run("apply", "--parallel", "1").stderr.splitlines()
    assert len(told) == EVERY
    assert "[##############################] 9/9 完成 done 9" in told[-1]


def test_helm_that_takes_too_long_is_ended(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_HELM", str(desk.helm_state))
    monkeypatch.setenv("FAKE_HELM_S", "30")
    monkeypatch.setattr("services.fleet.helm.GRACE_S", 0)
    helm = Helm(str(desk.helm), 4, timeout_s=1)
    began = time.monotonic()
    with pytest.raises(Exception, match="killed after 1 s"):
        helm.run([str(desk.helm), "upgrade", "--install", "zz-1", "chart", "--namespace", "n"])
    assert time.monotonic() - began < 10
    for call in desk.calls():
        os.kill(call["pid"], 0) if _alive(call["pid"]) else None
