"""A server on a free port, asked as a browser would ask it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time

import pytest
from served import Served, served

from skiplab.analysis.page.dashboard import dashboard_command, local_socket
from skiplab.errors import SkiplabError


def shown_version(html: str) -> str:
    return re.search(r'data-version="(\w+)"', html)[1]


def test_the_page_follows_the_records(runs):
    for arm in ("plain", "identity"):
        runs.trial(choices={"connection": arm}, summary={"skill_train": 0.5})
    with served(runs.folder) as server:
        status, text, headers = server.ask("/version")
        assert (status, json.loads(text)["progress"]) == (200, "half of it is done")
        assert headers["Cache-Control"] == "no-store"
        first = server.page_after("none")
        assert "2 trials, 2 done" in first
        assert "connect-src 'self'" in first
        assert shown_version(first) == server.version
        runs.trial(choices={"connection": "dense"}, summary={"skill_train": 0.6})
        second = server.page_after(shown_version(first))
        assert "3 trials, 3 done" in second
        assert shown_version(second) != shown_version(first)


def test_unknown_progress_keeps_no_page_back(runs):
    runs.trial(summary={"skill_train": 0.5})

    def progress():
        raise KeyError("width")

    with served(runs.folder, progress=progress) as server:
        assert "1 trial, 1 done" in server.page_after("none")
        assert "progress is unknown: KeyError: 'width'" in json.loads(server.ask("/version")[1])["progress"]


def test_records_that_stay_leave_the_page_alone(runs):
    runs.trial(summary={"skill_train": 0.5})
    with served(runs.folder) as server:
        version = shown_version(server.page_after("none"))
        for _ in range(5):
            time.sleep(0.1)
            assert server.version == version


def test_a_study_without_a_record_has_a_page_that_waits(runs):
    runs.list_key("s", "")
    with served(runs.folder) as server:
        waiting = server.page_after("none")
        assert "No trial has left a record yet" in waiting
        runs.trial(summary={"skill_train": 0.5})
        assert "1 trial, 1 done" in server.page_after(shown_version(waiting))


def test_what_breaks_later_is_told_on_the_page_and_can_be_mended(runs, claims_file, fill):
    fill(effect=0.1, num_seeds=1)
    path = claims_file()
    good = path.read_text()
    with served(runs.folder, path) as server:
        page = server.page_after("none")
        assert "Verdicts" in page
        path.write_text("no: <b>claims</b>")
        broken = server.page_after(shown_version(page))
        assert "can&#39;t be drawn" in broken
        assert "<b>" not in broken
        path.write_text(good + "\n")
        assert "Verdicts" in server.page_after(shown_version(broken))


@pytest.mark.parametrize("host", ["evil.example", "evil.example:{port}", "127.0.0.1", "127.0.0.1:1", ""])
def test_a_request_that_names_another_host_is_refused(runs, host):
    runs.trial()
    with served(runs.folder) as server:
        for path in ("/", "/version"):
            status, text, _ = server.ask(path, host=host.format(port=server.port) or " ")
            assert status in (400, 403)
            assert "html" not in text
        assert server.ask("/", host=f"localhost:{server.port}")[0] == 200


def test_at_the_port_of_http_a_browser_names_none(runs):
    runs.trial()
    for port, status in ((80, 200), (8465, 403)):
        with served(runs.folder, known_port=port) as server:
            assert server.ask("/", host="localhost")[0] == status


def test_nothing_else_is_there(runs):
    key = runs.trial()
    with served(runs.folder) as server:
        paths = [
            "/report.html",
            "/../../etc/passwd",
            "/%2e%2e/%2e%2e/etc/passwd",
            f"/{key}/record.json",
            "//etc/passwd",
        ]
        assert [server.ask(path)[0] for path in paths] == [404] * len(paths)
        methods = ("POST", "PUT", "DELETE", "HEAD", "OPTIONS", "PATCH")
        assert [server.ask("/", method)[0] for method in methods] == [405] * len(methods)


def test_only_this_machine_can_reach_it():
    with local_socket(0) as bound:
        assert bound.getsockname()[0] == "127.0.0.1"


def test_mistakes_are_told_before_anything_is_served(runs, tmp_path):
    with pytest.raises(SkiplabError, match="no study 's'"):
        dashboard_command("s", runs.folder, None, 0, str)
    runs.trial()
    with pytest.raises(SkiplabError, match="claims"):
        dashboard_command("s", runs.folder, tmp_path / "no claims", 0, str)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(SkiplabError, match=f"port {port}: Address already in use; choose another one with --port"):
            dashboard_command("s", runs.folder, None, port, str)
    with pytest.raises(SkiplabError, match="port 99999"):
        dashboard_command("s", runs.folder, None, 99999, str)


def test_without_its_library_the_command_says_what_to_install(runs, monkeypatch):
    runs.trial()
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(SkiplabError, match="pip install aiohttp"):
        dashboard_command("s", runs.folder, None, 0, str)


def test_the_command_serves_until_a_signal_and_ends_quietly(runs):
    runs.trial(factors={"width": 8, "trainer.max_steps": 10}, summary={"skill_train": 0.5})
    program = "from skiplab.cli import main; main()"
    words = ["dashboard", "s", "--runs-dir", str(runs.folder), "--port", "0"]
    # where the tests run in a shell's background, a child would ignore the signal
    program = f"import signal; signal.signal(signal.SIGINT, signal.default_int_handler); {program}"
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONUNBUFFERED": "1"},
    )
    try:
        port = int(re.search(r"http://127.0.0.1:(\d+)/", process.stdout.readline())[1])
        server = Served(port)
        assert "study s: 1 trial, 1 done" in server.ask("/version")[1]
        assert "1 trial, 1 done" in server.page_after("none")
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
        process.communicate()
    assert (process.returncode, out, err) == (0, "", "")
