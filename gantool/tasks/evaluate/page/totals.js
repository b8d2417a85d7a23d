// Totals of answers: pure functions. gantool/tasks/evaluate/answers.py computes the same on the command line.

const FORMAT = "gantool-choice-answers";
const Z = 1.959963984540054; // 97.5 % of a normal distribution lie below it

// Wilson's score interval of k out of n (Wilson 1927), 95 %.
function wilson(k, n) {
  if (n === 0) return { share: null, low: null, high: null };
  const p = k / n;
  const z2 = (Z * Z) / n;
  const middle = (p + z2 / 2) / (1 + z2);
  const half = (Z * Math.sqrt((p * (1 - p)) / n + z2 / (4 * n))) / (1 + z2);
  // At the ends rounding would leave 1e-17 in place of 0.
  return { share: p, low: k === 0 ? 0 : middle - half, high: k === n ? 1 : middle + half };
}

function median(values) {
  if (values.length === 0) return null;
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  return sorted.length % 2 ? sorted[half] : (sorted[half - 1] + sorted[half]) / 2;
}

function row(source, time, answers) {
  const judged = answers.filter((answer) => answer.judged_real).length;
  const times = answers.map((answer) => answer.answer_ms).filter((ms) => ms !== null);
  return {
    source: source.name,
    real: source.real,
    time_ms: time,
    shown: answers.length,
    judged_real: judged,
    ...wilson(judged, answers.length),
    median_ms: median(times),
  };
}

// A row for each source, and below it one for each display time where there are several.
function totals(mode, sources, sessions) {
  const answers = sessions.flatMap((session) => session.answers);
  const times = [...new Set(answers.map((answer) => answer.time_ms))];
  times.sort((a, b) => (a ?? Infinity) - (b ?? Infinity));
  const rows = [];
  for (const source of sources) {
    if (mode === "pairs" && source.real) continue;
    const own = answers.filter((answer) => answer.source === source.name && answer.real === source.real);
    rows.push({ ...row(source, null, own), all: true });
    if (times.length < 2) continue;
    for (const time of times) {
      rows.push({ ...row(source, time, own.filter((answer) => answer.time_ms === time)), all: false });
    }
  }
  const right = answers.filter((answer) => answer.judged_real === answer.real).length;
  const accuracy = { answers: answers.length, right, ...wilson(right, answers.length) };
  return { mode, sessions: sessions.length, accuracy, rows };
}

function percent(share) {
  return `${Math.round(100 * share)} %`;
}

// What the figures mean, as plain sentences.
function sentences(found) {
  const { mode, accuracy } = found;
  const whole = found.rows.filter((one) => one.all && one.shown > 0);
  if (whole.length === 0) return ["There are no answers yet."];
  const said = [];
  if (mode === "pairs") {
    for (const one of whole) {
      said.push(`Pictures of ${one.source} were taken for the real one in ${percent(one.share)} of ${one.shown} pairs.`);
    }
    said.push("At 50 %, which guessing gives, they cannot be told from real ones.");
  } else {
    for (const one of whole) {
      const who = one.real ? "Real pictures" : `Pictures of ${one.source}`;
      said.push(`${who} were taken for real in ${percent(one.share)} of ${one.shown} showings.`);
    }
    said.push("Generated pictures that are taken for real as often as real ones cannot be told from them.");
  }
  const between = `95 % interval ${percent(accuracy.low)} to ${percent(accuracy.high)}`;
  let sentence = `${percent(accuracy.share)} of ${accuracy.answers} answers were right (${between})`;
  if (mode === "single") {
    const generated = whole.filter((one) => !one.real).reduce((sum, one) => sum + one.shown, 0);
    sentence += `; always answering "generated" would be right in ${percent(generated / accuracy.answers)}`;
  }
  said.push(`${sentence}.`);
  if (mode === "single") {
    said.push(
      "For comparison, one picture at a time on CIFAR-10 (Denton et al. 2015): about 40 % of a class-conditional " +
        "LAPGAN's pictures were taken for real, about 10 % of a plain GAN's, and over 90 % of real ones.",
    );
  }
  return said;
}

const COLUMNS = [
  "trial", "source", "real", "picture", "against", "time_ms", "shown_ms", "judged_real", "answer_ms",
];

function csv(sessions) {
  const cell = (value) => {
    const text = value === null ? "" : String(value);
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  const lines = [["session", ...COLUMNS]];
  for (const session of sessions) {
    for (const answer of session.answers) lines.push([session.id, ...COLUMNS.map((name) => answer[name])]);
  }
  return lines.map((line) => line.map(cell).join(",") + "\r\n").join("");
}

// The sessions of a file that was saved. Throws a sentence where it is none, or of another kind of trial.
function sessionsOf(file, mode) {
  const duration = (value) => value === null || (Number.isFinite(value) && value >= 0);
  const text = (value) => typeof value === "string";
  const whole = (answer) =>
    answer !== null && typeof answer === "object" && text(answer.source) &&
    typeof answer.real === "boolean" && typeof answer.judged_real === "boolean" &&
    [answer.time_ms, answer.shown_ms, answer.answer_ms].every(duration);
  if (file === null || typeof file !== "object" || file.format !== FORMAT) throw new Error("holds no answers");
  const { sources, sessions } = file;
  const named = Array.isArray(sources) && sources.every((one) => one && text(one.name) && typeof one.real === "boolean");
  const known = (answer) => sources.some((one) => one.name === answer.source && one.real === answer.real);
  const sound = named && Array.isArray(sessions) && sessions.every((one) =>
    one && text(one.id) && Array.isArray(one.answers) && one.answers.every((answer) => whole(answer) && known(answer)));
  if (!sound) throw new Error("is damaged");
  if (file.mode !== mode) throw new Error("is of another kind of trial (one picture, or pairs)");
  return sessions;
}

// Sessions by their id: of one that is there twice the fuller one stays.
function merged(sessions) {
  const found = new Map();
  for (const session of sessions) {
    const earlier = found.get(session.id);
    if (!earlier || earlier.answers.length < session.answers.length) found.set(session.id, session);
  }
  return [...found.values()];
}

// Sources of several files, in the order in which they come.
function united(lists) {
  const found = new Map();
  for (const source of lists.flat()) found.set(JSON.stringify([source.name, source.real]), source);
  return [...found.values()];
}
