// The session: pictures one after another, answers kept, totals at the end. Names of sources come out only there.

const study = JSON.parse(document.getElementById("study").textContent);
const PAIRS = study.mode === "pairs";
const KEPT = `gantool-choice-${study.id}`;
const FIXATION = 500; // ms
const HALF_FRAME = 8; // ms, of a screen of 60 Hz: pictures are hidden at the frame nearest to their time
const $ = (id) => document.getElementById(id);

// `others` were answered here before, or loaded; `sources` are those of loaded files.
let memory = { current: newSession(), others: [], sources: [] };
let trial = null; // the one that is on: { index, phase, onset, shown, interrupted }
let turn = 0; // counts up when what was begun no longer matters

// --- what is kept -----------------------------------------------------------------------------------------------

function newSession() {
  const bytes = crypto.getRandomValues(new Uint8Array(8));
  const id = [...bytes].map((byte) => byte.toString(16).padStart(2, "0")).join("");
  return { id, started: new Date().toISOString(), ended: null, answers: [] };
}

function keep() {
  try {
    localStorage.setItem(KEPT, JSON.stringify(memory));
  } catch {
    $("unkept").hidden = false; // some browsers have no storage for files
  }
}

function recall() {
  try {
    const { current, others, sources } = JSON.parse(localStorage.getItem(KEPT));
    const fits = (answer, i) => answer.trial === i && i < study.trials.length;
    if (typeof current.id !== "string" || !current.answers.every(fits)) return;
    sessionsOf(file(others, sources), study.mode); // throws where they are not whole
    memory = { current, others, sources };
  } catch {
    // nothing kept, or not by this page: begin anew
  }
}

// --- what the pictures are, for the end ---------------------------------------------------------------------------

function answerKey() {
  const bytes = Uint8Array.from(atob(study.key), (letter) => letter.charCodeAt(0));
  return JSON.parse(new TextDecoder().decode(bytes));
}

// The answers of a session with what they were about.
function described(session) {
  const key = answerKey();
  const about = (answer) => {
    const { pictures, time } = study.trials[answer.trial];
    const sources = key.trials[answer.trial].map((i) => key.sources[i]);
    const at = PAIRS ? sources.findIndex((source) => !source.real) : 0; // of a pair the generated one counts
    const chosen = PAIRS ? answer.choice === (at === 0 ? "left" : "right") : answer.choice === "real";
    return {
      trial: answer.trial,
      source: sources[at].name,
      real: sources[at].real,
      picture: key.pictures[pictures[at]],
      against: PAIRS ? key.pictures[pictures[1 - at]] : null,
      time_ms: time,
      shown_ms: answer.shown_ms,
      judged_real: chosen,
      answer_ms: answer.answer_ms,
    };
  };
  return { id: session.id, page: study.id, started: session.started, ended: session.ended,
    answers: session.answers.map(about) };
}

function sessionsHere() {
  const own = memory.current.answers.length ? [described(memory.current)] : [];
  return merged([...own, ...memory.others]);
}

function file(sessions, others = memory.sources) {
  const sources = united([answerKey().sources, others]);
  return { format: FORMAT, version: 1, mode: study.mode, sources, sessions };
}

// --- trials -------------------------------------------------------------------------------------------------------

const decoded = new Map(); // trial -> promise of its pictures

function load(index) {
  if (index < study.trials.length && !decoded.has(index)) {
    const open = async (i) => {
      const image = new Image();
      image.src = `data:image/png;base64,${study.pictures[i]}`;
      await image.decode();
      return image;
    };
    decoded.set(index, Promise.all(study.trials[index].pictures.map(open)));
  }
  return decoded.get(index);
}

function paint(canvas, image) {
  canvas.width = image.naturalWidth;
  canvas.height = image.naturalHeight;
  canvas.getContext("2d").drawImage(image, 0, 0);
}

const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const frame = () => new Promise((done) => requestAnimationFrame(done));

async function run() {
  const index = memory.current.answers.length;
  if (index === study.trials.length) return finish();
  const mine = ++turn;
  trial = { index, phase: "fixation", onset: 0, shown: null, interrupted: false };
  show("trial");
  $("stage").className = "fixation";
  $("count").textContent = `${index + 1} of ${study.trials.length}`;
  $("bar").value = index;
  // Pictures lie in their canvases before the time begins, so that showing them is all there is left to do.
  const [images] = await Promise.all([load(index), wait(FIXATION)]);
  if (mine !== turn) return;
  [$("left"), $("right")].slice(0, images.length).forEach((canvas, i) => paint(canvas, images[i]));
  decoded.delete(index - 1);
  await frame();
  if (mine !== turn) return;
  $("stage").className = "shown";
  trial.phase = "shown";
  trial.onset = performance.now();
  load(index + 1);
  const { time } = study.trials[index];
  if (time === null) return;
  do await frame(); while (mine === turn && performance.now() - trial.onset < time - HALF_FRAME);
  if (mine === turn) hide();
}

function hide() {
  $("stage").className = "";
  trial.phase = "hidden";
  trial.shown = performance.now() - trial.onset;
}

function answer(choice) {
  if (trial === null || (trial.phase !== "shown" && trial.phase !== "hidden")) return;
  const now = performance.now();
  turn++;
  const tenth = (ms) => Math.round(10 * ms) / 10;
  // A trial that was interrupted has no time of answering.
  const known = !trial.interrupted;
  memory.current.answers.push({
    trial: trial.index,
    choice,
    shown_ms: trial.shown !== null ? tenth(trial.shown) : known ? tenth(now - trial.onset) : null,
    answer_ms: known ? tenth(now - trial.onset) : null,
  });
  trial = null;
  keep();
  guarded(run);
}

function pause() {
  if (trial === null || !$("paused").hidden) return;
  turn++;
  const timed = study.trials[trial.index].time !== null;
  if (trial.phase === "shown" && timed) hide(); // it has been seen: it does not come back
  if (trial.phase !== "fixation") trial.interrupted = true;
  const done = memory.current.answers.length;
  $("so-far").textContent = `${done} of ${study.trials.length} are answered.`;
  $("drop").textContent = "Start again";
  show("paused");
}

function goOn() {
  if (trial === null || trial.phase === "fixation") return guarded(run);
  show("trial");
}

function restart() {
  memory.current = newSession();
  keep();
  guarded(run);
}

// --- the end ------------------------------------------------------------------------------------------------------

function finish() {
  turn++;
  trial = null;
  decoded.clear();
  if (memory.current.answers.length) memory.current.ended ??= new Date().toISOString();
  keep();
  lookAtTotals();
}

function lookAtTotals() {
  results();
  show("end");
}

function element(name, text, kind = "") {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function table(found) {
  const judged = PAIRS ? "Taken for the real one" : "Judged real";
  const head = ["Pictures", "Shown", judged, "Share, 95 % interval", "Median answer"];
  const top = element("tr", "");
  top.append(...head.map((text) => element("th", text)));
  const body = found.rows.map((one) => {
    const line = element("tr", "", one.all ? "" : "part");
    const time = one.time_ms === null ? "until the answer" : `${one.time_ms} ms`;
    const name = one.all ? `${one.source}${one.real ? " (real)" : ""}` : time;
    const share = element("td", one.shown ? `${percent(one.share)} (${percent(one.low)} to ${percent(one.high)})` : "–");
    if (one.shown) share.append(gauge(one));
    const median = one.median_ms === null ? "–" : `${(one.median_ms / 1000).toFixed(2)} s`;
    line.append(element("th", name), element("td", one.shown), element("td", one.judged_real), share);
    line.append(element("td", median));
    return line;
  });
  const whole = element("table", "");
  const thead = element("thead", "");
  const tbody = element("tbody", "");
  thead.append(top);
  tbody.append(...body);
  whole.append(thead, tbody);
  const scroll = element("div", "", "scroll");
  scroll.append(whole);
  return scroll;
}

function gauge(one) {
  const [box, range, mark] = [element("span", "", "share"), element("i", ""), element("b", "")];
  range.style.left = `${100 * one.low}%`;
  range.style.width = `${100 * (one.high - one.low)}%`;
  mark.style.left = `${100 * one.share}%`;
  box.append(range, mark);
  box.setAttribute("aria-hidden", "true");
  return box;
}

function results() {
  const all = sessionsHere();
  const own = all.filter((session) => session.id === memory.current.id);
  const { sources } = file([]);
  const parts = [];
  const part = (title, sessions) => {
    const found = totals(study.mode, sources, sessions);
    const unbroken = sentences(found).map((text) => text.replaceAll(" %", "\u00a0%"));
    parts.push(element("h2", title), ...unbroken.map((text) => element("p", text)));
    if (found.accuracy.answers) parts.push(table(found));
  };
  if (own.length || !all.length) part("Your answers", own);
  if (all.length > own.length) part(`All ${all.length} sessions together`, all);
  $("results").replaceChildren(...parts);
  $("save-json").disabled = $("save-csv").disabled = $("forget").disabled = all.length === 0;
  $("forget").textContent = "Forget all answers";
}

function save(extension, type, text) {
  const link = element("a", "");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = `answers-${study.id}-${memory.current.id.slice(0, 6)}.${extension}`;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

async function loadFiles(files) {
  const said = [];
  for (const one of files) {
    try {
      const found = JSON.parse(await one.text());
      const sessions = sessionsOf(found, study.mode);
      memory.sources = united([memory.sources, found.sources]);
      memory.others = merged([...memory.others, ...sessions]).filter((session) => session.id !== memory.current.id);
      said.push(`${one.name}: ${sessions.length} session${sessions.length === 1 ? "" : "s"}.`);
    } catch (error) {
      said.push(`${one.name} ${error instanceof SyntaxError ? "is no JSON" : error.message}, and is left out.`);
    }
  }
  keep();
  results();
  $("loaded").textContent = said.join(" ");
}

// --- the page -----------------------------------------------------------------------------------------------------

function show(id) {
  for (const part of document.querySelectorAll("main")) part.hidden = part.id !== id;
  if (id !== "end") $("results").replaceChildren(); // names of sources leave the page
  $("loaded").textContent = "";
  document.activeElement?.blur();
  $(id).querySelector("button.main")?.focus();
}

function guarded(work) {
  Promise.resolve(work()).catch((error) => {
    $("failure").textContent = `The page cannot go on: ${error.message || error}. Reload it; the answers are kept.`;
    $("failure").hidden = false;
  });
}

// A button that asks once more before it drops anything.
function twice(button, question, action) {
  const first = button.textContent;
  button.onclick = () => {
    if (button.textContent !== first) action();
    else button.textContent = question();
  };
}

function intro() {
  const n = study.trials.length;
  const done = memory.current.answers.length;
  const times = [...new Set(study.trials.map((one) => one.time))];
  $("task").textContent = PAIRS
    ? `You will see ${n} pairs of pictures. In each one picture is real and the other was made by a computer. ` +
      "Say which is the real one."
    : `You will see ${n} pictures, one at a time. Some are real, the others were made by a computer. ` +
      "Say of each what you think it is.";
  $("timing").textContent = times.every((time) => time === null)
    ? "Each stays until you answer."
    : "Each is shown for a moment only: look at the cross in the middle, and answer when you have seen it.";
  const keys = PAIRS ? [["←", "left"], ["→", "right"]] : [["←", "R", "real"], ["→", "G", "generated"]];
  $("keys").append("With a keyboard: ");
  for (const [i, names] of keys.entries()) {
    const meaning = names.pop();
    names.forEach((name, j) => $("keys").append(...(j ? [" or "] : i ? [", "] : []), element("kbd", name)));
    $("keys").append(` ${meaning}`);
  }
  $("keys").append(", ", element("kbd", "P"), " pause.");
  $("question").textContent = PAIRS ? "Which is the real one?" : "Real or generated?";
  $("first").textContent = PAIRS ? "Left" : "Real";
  $("second").textContent = PAIRS ? "Right" : "Generated";
  $("right").hidden = !PAIRS;
  $("bar").max = n;
  const [width, height] = study.size;
  const style = document.documentElement.style;
  style.setProperty("--wide", `${width}px`);
  style.setProperty("--part", PAIRS ? "44vw" : "94vw");
  style.setProperty("--ratio", width / height);
  for (const canvas of [$("left"), $("right")]) canvas.classList.toggle("pixelated", study.pixelated);
  if (done) $("start").textContent = `Go on with ${done + 1} of ${n}`;
  $("again").hidden = !done;
}

function begin() {
  recall();
  keep();
  intro();
  const [first, second] = PAIRS ? ["left", "right"] : ["real", "generated"];
  $("start").onclick = () => guarded(run);
  $("first").onclick = () => answer(first);
  $("second").onclick = () => answer(second);
  $("pause").onclick = pause;
  $("go-on").onclick = goOn;
  $("end-here").onclick = finish;
  $("only-total").onclick = lookAtTotals;
  const question = () => `Drop ${memory.current.answers.length} answers and start again?`;
  twice($("again"), question, restart);
  twice($("drop"), question, restart);
  $("save-json").onclick = () => save("json", "application/json", JSON.stringify(file(sessionsHere()), null, 1));
  $("save-csv").onclick = () => save("csv", "text/csv", csv(sessionsHere()));
  $("load").onclick = () => $("files").click();
  $("files").onchange = async (event) => {
    await loadFiles(event.target.files);
    event.target.value = "";
  };
  $("next").onclick = () => {
    memory.others = sessionsHere();
    restart();
  };
  twice($("forget"), () => "Really forget all answers?", () => {
    memory = { current: newSession(), others: [], sources: [] };
    keep();
    results();
  });
  const keys = { ArrowLeft: first, ArrowRight: second };
  if (!PAIRS) Object.assign(keys, { r: first, g: second });
  document.addEventListener("keydown", (event) => {
    if (event.repeat || event.ctrlKey || event.metaKey || event.altKey || $("trial").hidden) return;
    const name = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    if (name === "p" || name === "Escape") pause();
    else if (name in keys) answer(keys[name]);
    else return;
    event.preventDefault();
  });
  document.addEventListener("visibilitychange", () => document.hidden && pause());
  if (memory.current.ended !== null && memory.current.answers.length) finish();
  else show("intro");
}

begin();
