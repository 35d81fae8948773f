// How the model draws: the image after each of its steps.

import { LatestTask } from "./api.js";
import { paintImage } from "./pixels.js";
import { $, createElement, listen, readInteger, showSliderValue, state } from "./state.js";

const PAUSE = 350; // milliseconds a step

export function startSteps() {
  const { model } = state;
  if (!model.has("draw")) return void ($("steps").hidden = true);
  const slider = $("step");
  let [drawings, chosen, timer] = [[], 0, 0];

  function show() {
    const now = Number(slider.value);
    $("step-shown").textContent = `Step ${now} of ${slider.max}`;
    paintImage($("chosen-drawing"), drawings[chosen][now - 1], model);
    [...$("frames").children].forEach((row, i) => {
      row.classList.toggle("chosen", i === chosen);
      [...row.children].forEach((canvas, t) => canvas.classList.toggle("now", t === now - 1));
    });
  }

  const drawer = new LatestTask(async (n, seed, temperature) => {
    drawings = await model.draw(n, seed, temperature);
    const steps = drawings[0].length;
    if (Number(slider.max) !== steps) {
      slider.max = steps;
      slider.value = steps;
    }
    chosen = Math.min(chosen, n - 1);
    const rows = drawings.map((frames, i) => createDrawingRow(frames, i, () => ((chosen = i), show())));
    $("frames").replaceChildren(...rows);
    show();
  });
  const seed = $("draw-seed");
  const temperature = $("draw-temperature");
  const draw = () => drawer.request(Number($("drawings").value), readInteger(seed), Number(temperature.value));

  function stop() {
    clearInterval(timer);
    timer = 0;
    $("play").textContent = "Play";
  }
  $("play").addEventListener("click", () => {
    if (timer) return stop();
    $("play").textContent = "Stop";
    slider.value = 1;
    show();
    timer = setInterval(() => {
      if (slider.value === slider.max) return stop();
      slider.value = Number(slider.value) + 1;
      show();
    }, PAUSE);
  });
  slider.addEventListener("input", () => (stop(), show()));
  $("new-drawings").addEventListener("click", () => ((seed.value = readInteger(seed) + 1), draw()));
  for (const id of ["drawings", "draw-seed"]) $(id).addEventListener("change", draw);
  temperature.addEventListener("input", draw);
  showSliderValue(temperature, $("draw-temperature-shown"), (v) => v.toFixed(1));
  listen("condition", draw);
  draw();
}

// The steps of one drawing, side by side.
function createDrawingRow(frames, i, choose) {
  const canvases = frames.map((x) => {
    const canvas = createElement("canvas", { class: "picture" });
    paintImage(canvas, x, state.model);
    return canvas;
  });
  const row = createElement("button", { type: "button", class: "row" }, ...canvases);
  row.setAttribute("aria-label", `Drawing ${i + 1}: enlarge it`);
  row.addEventListener("click", choose);
  return row;
}
