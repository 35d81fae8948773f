// New samples, and your image with its reconstruction.

import { LatestTask, showMessage } from "./api.js";
import { drawStroke, fitPicture, paintImage, paintPoints } from "./pixels.js";
import { $, createElement, listen, readInteger, setCode, setInputImage, showSliderValue, state } from "./state.js";

export function startSamples() {
  const { model } = state;
  if (!model.has("sample")) return void ($("samples").hidden = true);
  const grid = $("sample-grid");
  const sampler = new LatestTask(async (n, seed, temperature) => {
    const images = await model.sample(n, seed, temperature);
    if (model.isPoints) return paintPoints(grid.firstChild, images);
    grid.style.setProperty("--columns", Math.ceil(Math.sqrt(n)));
    while (grid.childElementCount > n) grid.lastChild.remove();
    while (grid.childElementCount < n) grid.append(thumb());
    images.forEach((x, i) => {
      paintImage(grid.children[i].firstChild, x, model);
      grid.children[i].onclick = () => setInputImage(x);
    });
  });
  const thumb = () => {
    const canvas = createElement("canvas", { class: "picture" });
    const button = createElement("button", { type: "button", class: "thumb" }, canvas);
    button.setAttribute("aria-label", `Sample ${grid.childElementCount + 1}: make it your image`);
    return button;
  };
  if (model.isPoints) {
    grid.classList.add("one");
    grid.append(createElement("canvas", { class: "picture", role: "img", "aria-label": "Samples" }));
    $("count").replaceChildren(...[100, 400, 1000].map((n) => createElement("option", {}, String(n))));
  }
  const seed = $("sample-seed");
  const temperature = $("sample-temperature");
  const draw = () => sampler.request(Number($("count").value), readInteger(seed), Number(temperature.value));
  $("new-samples").addEventListener("click", () => ((seed.value = readInteger(seed) + 1), draw()));
  for (const id of ["count", "sample-seed"]) $(id).addEventListener("change", draw);
  temperature.addEventListener("input", draw);
  showSliderValue(temperature, $("sample-temperature-shown"), (v) => v.toFixed(1));
  listen("condition", draw);
  draw();
}

// --- your image ----------------------------------------------------------------------------------------------------

export async function startReconstruction() {
  const { model } = state;
  if (!model.has("encode", "reconstruct")) return void ($("reconstruct").hidden = true);
  const blank = state.inputImage;
  $("ink-field").hidden = model.shape[2] < 3;
  if (model.isPoints) {
    $("reconstruct-lead").textContent = "Press where your point is.";
    for (const id of ["file-button", "clear", "from-sample"]) $(id).hidden = true;
    $("invert").parentElement.hidden = true;
  }
  const reconstructTask = new LatestTask(showReconstruction);
  listen("inputImage", () => {
    paintImage($("input-image"), state.inputImage, model);
    reconstructTask.request(state.inputImage);
  });
  listen("condition", () => reconstructTask.request(state.inputImage));
  let seed = 6;
  const sample = new LatestTask(async () => setInputImage((await model.sample(1, ++seed))[0]));
  const encode = new LatestTask(async () => setCode((await model.encode([state.inputImage]))[0]));
  $("from-sample").addEventListener("click", () => sample.request());
  $("clear").addEventListener("click", () => setInputImage(blank));
  $("to-sliders").addEventListener("click", () => encode.request());
  startBrush();
  startFiles();
  if (model.has("sample") && !model.isPoints) await sample.request();
  else setInputImage(blank);
}

// The reconstruction of x, and its numbers.
async function showReconstruction(x) {
  const { model } = state;
  const reconstruction = await model.reconstruct(x);
  paintImage($("reconstruction"), reconstruction, model);
  const error = reconstruction.reduce((sum, v, i) => sum + (v - x[i]) ** 2, 0);
  const rows = [["squared error", error, ""]];
  if (model.has("elbo")) {
    const terms = await model.measureElbo(x);
    rows.unshift(...["elbo", "rate", "distortion"].map((name) => [name, terms[name][0], " nats"]));
  }
  const items = rows.map(([name, value, unit]) =>
    createElement("div", {}, createElement("dt", {}, name), createElement("dd", {}, value.toFixed(1) + unit)),
  );
  $("numbers").replaceChildren(...items);
}

function startBrush() {
  const { model } = state;
  const canvas = $("input-image");
  let last = null;
  function stroke(event) {
    const box = canvas.getBoundingClientRect();
    const [height, width, channels] = model.shape;
    const [u, v] = [(event.clientX - box.left) / box.width, (event.clientY - box.top) / box.height];
    if (model.isPoints) {
      const point = [(u - 0.05) / 0.9, (0.95 - v) / 0.9]; // as `paintPoints` has it
      return setInputImage(point.map((side) => Math.min(1, Math.max(0, side))));
    }
    const now = [u * width, v * height];
    const colour = [1, 3, 5].map((i) => parseInt($("ink").value.slice(i, i + 2), 16) / 255);
    setInputImage(drawStroke(state.inputImage, model.shape, last ?? now, now, channels < 3 ? [1] : [...colour, 1]));
    last = now;
  }
  canvas.addEventListener("pointerdown", (event) => {
    canvas.setPointerCapture(event.pointerId);
    last = null;
    stroke(event);
  });
  canvas.addEventListener("pointermove", (event) => event.buttons && stroke(event));
}

// Files chosen, or dropped anywhere on the page.
function startFiles() {
  async function read(file) {
    try {
      setInputImage(fitPicture(await createImageBitmap(file), state.model.shape, $("invert").checked));
      showMessage("", read);
    } catch {
      showMessage("Expected a picture that this browser can read. Received: another file.", read);
    }
  }
  $("file").addEventListener("change", () => {
    if ($("file").files.length) read($("file").files[0]);
    $("file").value = ""; // so that the same file can be chosen again
  });
  for (const kind of ["dragover", "drop"])
    document.addEventListener(kind, (event) => {
      event.preventDefault();
      $("reconstruct").classList.toggle("over", kind === "dragover");
      if (kind === "drop" && event.dataTransfer.files.length) read(event.dataTransfer.files[0]);
    });
  document.addEventListener("dragleave", () => $("reconstruct").classList.remove("over"));
}
