// New samples, and your image with its reconstruction.

import { Latest, say } from "./api.js";
import { ink, paint, scatter, shrink } from "./pixels.js";
import { $, make, on, setCode, setMine, spoken, state, whole } from "./state.js";

export function startSamples() {
  const { model } = state;
  if (!model.has("sample")) return void ($("samples").hidden = true);
  const grid = $("sample-grid");
  const sampler = new Latest(async (n, seed, temperature) => {
    const images = await model.sample(n, seed, temperature);
    if (model.points) return scatter(grid.firstChild, images);
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(n)));
    while (grid.childElementCount > n) grid.lastChild.remove();
    while (grid.childElementCount < n) grid.append(thumb());
    images.forEach((x, i) => {
      paint(grid.children[i].firstChild, x, model);
      grid.children[i].onclick = () => setMine(x);
    });
  });
  const thumb = () => {
    const button = make("button", { type: "button", class: "thumb" }, make("canvas", { class: "picture" }));
    button.setAttribute("aria-label", `Sample ${grid.childElementCount + 1}: make it your image`);
    return button;
  };
  if (model.points) {
    grid.classList.add("one");
    grid.append(make("canvas", { class: "picture", role: "img", "aria-label": "Samples" }));
    $("count").replaceChildren(...[100, 400, 1000].map((n) => make("option", {}, String(n))));
  }
  const draw = () => sampler.ask(Number($("count").value), whole($("sample-seed")), Number($("sample-heat").value));
  $("again").addEventListener("click", () => (($("sample-seed").value = whole($("sample-seed")) + 1), draw()));
  for (const id of ["count", "sample-seed"]) $(id).addEventListener("change", draw);
  $("sample-heat").addEventListener("input", draw);
  spoken($("sample-heat"), $("sample-heat-shown"), (v) => v.toFixed(1));
  on("told", draw);
  draw();
}

// --- your image ----------------------------------------------------------------------------------------------------

export async function startYours() {
  const { model } = state;
  if (!model.has("encode", "reconstruct")) return void ($("yours").hidden = true);
  const blank = state.mine;
  $("ink-field").hidden = model.shape[2] < 3;
  if (model.points) {
    $("yours-lead").textContent = "Press where your point is.";
    for (const id of ["file-button", "clear", "from-sample"]) $(id).hidden = true;
    $("invert").parentElement.hidden = true;
  }
  const rebuild = new Latest(showAgain);
  on("mine", () => (paint($("mine"), state.mine, model), rebuild.ask(state.mine)));
  on("told", () => rebuild.ask(state.mine));
  let seed = 6;
  const sample = new Latest(async () => setMine((await model.sample(1, ++seed))[0]));
  const encode = new Latest(async () => setCode((await model.encode([state.mine]))[0]));
  $("from-sample").addEventListener("click", () => sample.ask());
  $("clear").addEventListener("click", () => setMine(blank));
  $("to-sliders").addEventListener("click", () => encode.ask());
  startBrush();
  startFiles();
  if (model.has("sample") && !model.points) await sample.ask();
  else setMine(blank);
}

// The reconstruction of x, and its numbers.
async function showAgain(x) {
  const { model } = state;
  const again = await model.reconstruct(x);
  paint($("rebuilt"), again, model);
  const error = again.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0);
  const rows = [["squared error", error, ""]];
  if (model.has("elbo")) {
    const found = await model.measure(x);
    rows.unshift(...["elbo", "rate", "distortion"].map((name) => [name, found[name][0], " nats"]));
  }
  const shown = rows.map(([name, value, unit]) =>
    make("div", {}, make("dt", {}, name), make("dd", {}, value.toFixed(1) + unit)),
  );
  $("numbers").replaceChildren(...shown);
}

function startBrush() {
  const { model } = state;
  const mine = $("mine");
  let last = null;
  function stroke(event) {
    const box = mine.getBoundingClientRect();
    const [height, width, channels] = model.shape;
    const [u, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (model.points) return setMine([(u - 0.05) / 0.9, (0.95 - v) / 0.9].map((s) => Math.min(1, Math.max(0, s))));
    const now = [u * width, v * height];
    const colour = [1, 3, 5].map((i) => parseInt($("ink").value.slice(i, i + 2), 16) / 255);
    setMine(ink(state.mine, model.shape, last ?? now, now, channels < 3 ? [1] : [...colour, 1]));
    last = now;
  }
  mine.addEventListener("pointerdown", (event) => {
    mine.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  mine.addEventListener("pointermove", (event) => event.buttons && stroke(event));
}

// Files chosen, or dropped anywhere on the page.
function startFiles() {
  async function read(file) {
    try {
      setMine(shrink(await createImageBitmap(file), state.model.shape, $("invert").checked));
      say("", read);
    } catch {
      say("Expected a picture that this browser can read. Received: another file.", read);
    }
  }
  $("file").addEventListener("change", () => {
    if ($("file").files.length) read($("file").files[0]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  for (const kind of ["dragover", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("yours").classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
    });
  document.addEventListener("dragleave", () => $("yours").classList.remove("over"));
}
