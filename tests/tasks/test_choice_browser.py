"""The page in a browser: answered by keyboard to the end, reloaded on the way, saved, and totalled."""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gantool.tasks.evaluate.answers import total_answers
from gantool.tasks.evaluate.choice import choice_page
from gantool.tasks.evaluate.choice_options import ChoiceOptions

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
SOON = 60  # seconds
# The browser reads what it is told at descriptor 3 and answers at 4.
AS_3_AND_4 = """
import os, sys
os.dup2(int(sys.argv[1]), 103)
os.dup2(int(sys.argv[2]), 104)
os.dup2(103, 3)
os.dup2(104, 4)
os.execv(sys.argv[3], sys.argv[3:])
"""


class Browser:
    """Chromium by its debugging pipe: messages of the DevTools protocol, each ended by a NUL."""

    def __init__(self, folder: Path) -> None:
        (theirs_in, ours_out), (ours_in, theirs_out) = os.pipe(), os.pipe()
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe"]
        command = [sys.executable, "-c", AS_3_AND_4, str(theirs_in), str(theirs_out), str(CHROMIUM)]
        self.process = subprocess.Popen(
            [*command, f"--user-data-dir={folder}", *flags, "about:blank"],
            pass_fds=(theirs_in, theirs_out),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        os.close(theirs_in)
        os.close(theirs_out)
        self.out, self.into = ours_out, ours_in
        self.count, self.rest, self.events, self.session = 0, b"", [], None
        targets = self.call("Target.getTargets")["targetInfos"]
        page = next(target["targetId"] for target in targets if target["type"] == "page")
        self.session = self.call("Target.attachToTarget", targetId=page, flatten=True)["sessionId"]
        for part in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{part}.enable")

    def call(self, method, **params):
        self.count += 1
        message = {"id": self.count, "method": method, "params": params}
        os.write(self.out, json.dumps(message | ({"sessionId": self.session} if self.session else {})).encode() + b"\0")
        while True:
            while b"\0" not in self.rest:
                ready, _, _ = select.select([self.into], [], [], SOON)
                more = os.read(self.into, 65536) if ready else b""
                if not more:
                    raise EOFError("the browser has ended, or says nothing")
                self.rest += more
            text, self.rest = self.rest.split(b"\0", 1)
            reply = json.loads(text)
            if reply.get("id") == self.count:
                assert "error" not in reply, reply
                return reply["result"]
            self.events.append(reply)

    def js(self, expression):
        reply = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in reply, reply
        return reply["result"].get("value")

    def until(self, expression):
        end = time.monotonic() + SOON
        while not self.js(expression):
            assert time.monotonic() < end, expression
            time.sleep(0.01)

    def open(self, page):
        self.call("Page.navigate", url=Path(page).resolve().as_uri())
        self.until("document.readyState === 'complete' && typeof study !== 'undefined'")

    def press(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key)

    def click(self, name):
        self.js(f"$('{name}').click()")

    def close(self):
        self.process.kill()
        self.process.wait(SOON)
        os.close(self.into)
        os.close(self.out)


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        pytest.skip("chromium is not installed")
    try:
        found = Browser(tmp_path_factory.mktemp("browser"))
    except (OSError, EOFError):
        pytest.skip("chromium does not start here")
    yield found
    found.close()


@pytest.fixture
def folders(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name, grey in (("photographs", 200), ("model-alpha", 100)):
        Path(name).mkdir()
        for i in range(6):
            Image.fromarray(np.full((8, 8, 3), grey + i, np.uint8)).save(f"{name}/{name}-{i}.png")
    return tmp_path


NAMES = re.compile("photographs|model-alpha")


def test_a_session_by_keyboard_interrupted_by_a_pause_and_a_reload(browser, folders):
    page = choice_page("photographs", ["model-alpha"], "page.html", ChoiceOptions(trials=6, times=(60, 120)))
    browser.events.clear()
    browser.open("page.html")
    assert not NAMES.search(browser.js("document.documentElement.outerHTML"))
    browser.click("start")
    given = ["r", "g", "ArrowLeft", "r", "ArrowRight", "r"]
    said = [key in ("r", "ArrowLeft") for key in given]
    times = browser.js("study.trials.map((one) => one.time)")
    for i, key in enumerate(given):
        if i == 3:
            browser.open("page.html")  # as if it had been closed
            assert browser.js("$('start').textContent") == "Go on with 4 of 6"
            browser.click("start")
        browser.until(f"trial?.index === {i} && trial.phase === 'hidden'")
        assert browser.js("getComputedStyle($('left')).visibility") == "hidden"
        assert not NAMES.search(browser.js("document.documentElement.outerHTML"))
        if i == 1:
            browser.press("p")
            assert browser.js("[$('paused').hidden, $('trial').hidden]") == [False, True]
            browser.press("r")  # does not count now
            browser.click("go-on")
        browser.press(key)
    browser.until("!$('end').hidden")
    answers = browser.js("memory.current.answers")
    assert [answer["choice"] == "real" for answer in answers] == said
    assert [answer["answer_ms"] is None for answer in answers] == [False, True, False, False, False, False]
    # A frame of 60 Hz to either side; a machine that is busy may show a picture for longer.
    assert all(answer["shown_ms"] > ms - 17 for answer, ms in zip(answers, times, strict=True))

    browser.call("Page.setDownloadBehavior", behavior="allow", downloadPath=str(folders / "saved"))
    browser.click("save-json")
    end = time.monotonic() + SOON
    while not (files := list((folders / "saved").glob("*.json"))):
        assert time.monotonic() < end
        time.sleep(0.05)
    found = total_answers(files)
    real = [sources == [0] for sources in browser.js("answerKey().trials")]
    assert found["pages"] == [page.id]
    assert [(row["source"], row["judged_real"], row["shown"]) for row in found["rows"] if row["all"]] == [
        ("photographs", sum(s for s, r in zip(said, real, strict=True) if r), 3),
        ("model-alpha", sum(s for s, r in zip(said, real, strict=True) if not r), 3),
    ]
    shown = browser.js("$('results').innerText").replace("\u00a0", " ")
    assert all(sentence in shown for sentence in found["sentences"])
    rows = browser.js("[...document.querySelectorAll('tbody tr:not(.part)')].map((row) => row.innerText.split(/\\s+/))")
    judged = [str(row["judged_real"]) for row in found["rows"] if row["all"]]
    assert rows[0][:4] == ["photographs", "(real)", "3", judged[0]]
    assert rows[1][:3] == ["model-alpha", "3", judged[1]]

    browser.click("next")  # another person: names are gone again, the first answers are kept
    browser.until("trial?.phase === 'hidden'")
    assert not NAMES.search(browser.js("document.documentElement.outerHTML"))
    assert browser.js("[memory.current.answers.length, memory.others.length]") == [0, 1]

    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert {url.split(":")[0] for url in asked} <= {"file", "data"}
    assert len([url for url in asked if url.startswith("file:")]) == 2  # opened twice
    assert not [e for e in browser.events if e.get("method") in ("Log.entryAdded", "Runtime.exceptionThrown")]


def test_a_picture_that_was_seen_does_not_come_back_after_a_pause(browser, folders):
    choice_page("photographs", ["model-alpha"], "page.html", ChoiceOptions(trials=2, times=(30_000,)))
    browser.open("page.html")
    browser.click("start")
    browser.until("trial?.phase === 'shown'")
    assert browser.js("getComputedStyle($('left')).visibility") == "visible"
    browser.press("Escape")
    browser.click("go-on")
    assert browser.js("[$('trial').hidden, getComputedStyle($('left')).visibility]") == [False, "hidden"]
    browser.press("g")
    (answer,) = browser.js("memory.current.answers")
    assert (answer["choice"], answer["answer_ms"]) == ("generated", None)
    assert 0 <= answer["shown_ms"] < 30_000


def test_pairs_and_the_answers_of_another_person(browser, folders):
    options = ChoiceOptions(trials=4, pairs=True, seed=1)
    page = choice_page("photographs", ["model-alpha"], "pairs.html", options)
    browser.open("pairs.html")
    browser.click("start")
    levels = "['left', 'right'].map((name) => $(name).getContext('2d').getImageData(4, 4, 1, 1).data[0])"
    for i in range(4):
        browser.until(f"trial?.index === {i} && trial.phase === 'shown'")
        left, right = browser.js(levels)
        assert {left // 100, right // 100} == {1, 2}  # one of either source
        right_is_real = right > left
        fooled = i == 0
        browser.press("ArrowRight" if right_is_real != fooled else "ArrowLeft")
    browser.until("!$('end').hidden")
    own = browser.js("totals(study.mode, file([]).sources, sessionsHere())")
    assert [(row["source"], row["shown"], row["judged_real"]) for row in own["rows"]] == [("model-alpha", 4, 1)]
    assert own["accuracy"]["right"] == 3

    other = browser.js("file(sessionsHere())")
    other["sessions"][0]["id"] = "another"
    for answer in other["sessions"][0]["answers"]:
        answer["judged_real"] = True
    files = {"a.json": json.dumps(other), "b.json": "[", "c.json": json.dumps({**other, "mode": "single"})}
    made = ", ".join(f"new File([{json.dumps(text)}], '{name}')" for name, text in files.items())
    browser.js(f"loadFiles([{made}])")
    said = browser.js("$('loaded').textContent")
    assert said.startswith("a.json: 1 session. b.json is no JSON, and is left out. c.json is of another kind")
    assert "All 2 sessions together" in browser.js("$('results').innerText")
    both = browser.js("totals(study.mode, file([]).sources, sessionsHere())")
    assert [(row["shown"], row["judged_real"]) for row in both["rows"]] == [(8, 5)]
    assert both["sessions"] == 2
    assert page.mode == "pairs"


def test_without_storage_the_page_works_and_says_so(browser, folders):
    choice_page("photographs", ["model-alpha"], "page.html", ChoiceOptions(trials=2, title="None"))
    denied = "Object.defineProperty(window, 'localStorage', { get() { throw new DOMException('denied'); } })"
    script = browser.call("Page.addScriptToEvaluateOnNewDocument", source=denied)["identifier"]
    browser.open("page.html")
    browser.call("Page.removeScriptToEvaluateOnNewDocument", identifier=script)
    assert browser.js("$('unkept').hidden") is False
    browser.click("start")
    for i in range(2):
        browser.until(f"trial?.index === {i} && trial.phase === 'shown'")
        browser.click("first")
    browser.until("!$('end').hidden")
    assert browser.js("sessionsHere()[0].answers.length") == 2
