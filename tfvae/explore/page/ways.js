// The way between two images, and the steps of a drawing.

import { Latest } from "./api.js";
import { between, paint } from "./pixels.js";
import { $, make, on, sampled, spoken, state, whole } from "./state.js";

const STRIP = 11; // images on the way
const PAUSE = 350; // milliseconds a step

export async function startBetween() {
  const { model } = state;
  const ends = { a: null, b: null };
  let seed = 10;
  const arc = () => document.querySelector("input[name=way]:checked").value === "arc";
  const at = (share) => between(ends.a, ends.b, share, arc());

  const middle = new Latest(async (share) => paint($("middle"), (await model.decode([at(share)]))[0], model));
  const strip = new Latest(async () => {
    const shares = Array.from({ length: STRIP }, (_, i) => i / (STRIP - 1));
    const images = await model.decode(shares.map(at));
    paint($("end-a").querySelector("canvas"), images[0], model);
    paint($("end-b").querySelector("canvas"), images.at(-1), model);
    images.forEach((x, i) => paint($("way-strip").children[i].firstChild, x, model));
  });
  const draw = () => (strip.ask(), middle.ask(Number($("share").value)));

  for (let i = 0; i < STRIP; i++) {
    const button = make("button", { type: "button", class: "thumb" }, make("canvas", { class: "picture" }));
    button.setAttribute("aria-label", `${(100 * i) / (STRIP - 1)}% of the way`);
    button.addEventListener("click", () => {
      $("share").value = i / (STRIP - 1);
      $("share").dispatchEvent(new Event("input"));
    });
    $("way-strip").append(button);
  }

  const sources = {
    sample: () => sampled(++seed),
    mine: async () => (await model.encode([state.mine]))[0],
    sliders: () => state.code,
  };
  const choose = new Latest(async (end, from) => {
    ends[end] = await sources[from]();
    draw();
  });
  for (const end of ["a", "b"])
    for (const button of $(`end-${end}`).querySelectorAll("button")) {
      button.hidden = button.dataset.from === "mine" && !model.has("encode");
      button.addEventListener("click", () => choose.ask(end, button.dataset.from));
    }
  spoken($("share"), $("share-shown"), (v) => `${Math.round(100 * v)}%`);
  $("share").addEventListener("input", () => middle.ask(Number($("share").value)));
  for (const input of document.querySelectorAll("input[name=way]")) input.addEventListener("change", draw);
  ends.a = await sources.sample();
  ends.b = await sources.sample();
  on("told", draw);
  draw();
}

// --- drawing in steps ----------------------------------------------------------------------------------------------

export function startSteps() {
  const { model } = state;
  if (!model.has("draw")) return void ($("steps").hidden = true);
  const slider = $("step");
  let [drawings, chosen, timer] = [[], 0, 0];

  function show() {
    const now = Number(slider.value);
    $("step-shown").textContent = `Step ${now} of ${slider.max}`;
    paint($("drawn"), drawings[chosen][now - 1], model);
    [...$("frames").children].forEach((row, i) => {
      row.classList.toggle("chosen", i === chosen);
      [...row.children].forEach((canvas, t) => canvas.classList.toggle("now", t === now - 1));
    });
  }

  const drawer = new Latest(async (n, seed, temperature) => {
    drawings = await model.draw(n, seed, temperature);
    const steps = drawings[0].length;
    if (Number(slider.max) !== steps) {
      slider.max = steps;
      slider.value = steps;
    }
    chosen = Math.min(chosen, n - 1);
    $("frames").replaceChildren(...drawings.map((frames, i) => rowOf(frames, i, () => ((chosen = i), show()))));
    show();
  });
  const draw = () => drawer.ask(Number($("drawings").value), whole($("draw-seed")), Number($("draw-heat").value));

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
  $("draw-again").addEventListener("click", () => (($("draw-seed").value = whole($("draw-seed")) + 1), draw()));
  for (const id of ["drawings", "draw-seed"]) $(id).addEventListener("change", draw);
  $("draw-heat").addEventListener("input", draw);
  spoken($("draw-heat"), $("draw-heat-shown"), (v) => v.toFixed(1));
  on("told", draw);
  draw();
}

// The steps of one drawing, side by side.
function rowOf(frames, i, choose) {
  const canvases = frames.map((x) => {
    const canvas = make("canvas", { class: "picture" });
    paint(canvas, x, state.model);
    return canvas;
  });
  const row = make("button", { type: "button", class: "row" }, ...canvases);
  row.setAttribute("aria-label", `Drawing ${i + 1}: enlarge it`);
  row.addEventListener("click", choose);
  return row;
}
