// Interpolation: the codes between those of two images, decoded.

import { LatestTask } from "./api.js";
import { interpolate, paintImage } from "./pixels.js";
import { $, createElement, listen, sampleCode, showSliderValue, state } from "./state.js";

const STRIP = 11; // images of the strip

export async function startInterpolation() {
  const { model } = state;
  const ends = { a: null, b: null };
  let seed = 10;
  const isArc = () => document.querySelector("input[name=path]:checked").value === "arc";
  const codeAt = (share) => interpolate(ends.a, ends.b, share, isArc());

  const middle = new LatestTask(async (share) => {
    const [image] = await model.decode([codeAt(share)]);
    paintImage($("middle"), image, model);
  });
  const strip = new LatestTask(async () => {
    const shares = Array.from({ length: STRIP }, (_, i) => i / (STRIP - 1));
    const images = await model.decode(shares.map(codeAt));
    paintImage($("end-a").querySelector("canvas"), images[0], model);
    paintImage($("end-b").querySelector("canvas"), images.at(-1), model);
    images.forEach((x, i) => paintImage($("interpolation-strip").children[i].firstChild, x, model));
  });
  const draw = () => (strip.request(), middle.request(Number($("share").value)));

  for (let i = 0; i < STRIP; i++) {
    const canvas = createElement("canvas", { class: "picture" });
    const button = createElement("button", { type: "button", class: "thumb" }, canvas);
    button.setAttribute("aria-label", `${(100 * i) / (STRIP - 1)}% of the way`);
    button.addEventListener("click", () => {
      $("share").value = i / (STRIP - 1);
      $("share").dispatchEvent(new Event("input"));
    });
    $("interpolation-strip").append(button);
  }

  const sources = {
    sample: () => sampleCode(++seed),
    "input-image": async () => (await model.encode([state.inputImage]))[0],
    sliders: () => state.code,
  };
  const choose = new LatestTask(async (end, from) => {
    ends[end] = await sources[from]();
    draw();
  });
  for (const end of ["a", "b"])
    for (const button of $(`end-${end}`).querySelectorAll("button")) {
      button.hidden = button.dataset.from === "input-image" && !model.has("encode");
      button.addEventListener("click", () => choose.request(end, button.dataset.from));
    }
  showSliderValue($("share"), $("share-shown"), (v) => `${Math.round(100 * v)}%`);
  $("share").addEventListener("input", () => middle.request(Number($("share").value)));
  for (const input of document.querySelectorAll("input[name=path]")) input.addEventListener("change", draw);
  ends.a = await sources.sample();
  ends.b = await sources.sample();
  listen("condition", draw);
  draw();
}
