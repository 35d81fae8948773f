// What the model is told: a class, beta or kappa, or a picture.

import { $, changed, make, on, state } from "./state.js";

const STEPS = 400; // of a slider, equal shares of the logarithm
const NOTES = {
  beta: "The weight of the rate: small for sharp images, large for short codes.",
  kappa: "The error it may make: small for sharp images, large for short codes.",
  labels: "The class of what it draws and sees.",
};

// Give `model.told` its first value, and the page its control.
export function startTold() {
  const { model } = state;
  const input = model.signatures.decode.inputs.condition;
  if (!input) return;
  const { name, low, high } = model.condition ?? { name: "condition", low: 0, high: 1 };
  $("told").hidden = false;
  $("told-name").textContent = name === "labels" ? "Class" : name;
  $("told-note").textContent = NOTES[name] ?? "A part of a picture, which it goes on with.";
  if (input.shape.length > 1) picture(input.shape.slice(1));
  else if (input.dtype === "DT_INT32") labels(low, high);
  else number(low, high);
}

function tell(value) {
  state.model.told = value;
  changed("told");
}

function labels(low, high) {
  const every = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  pills(every.map((label) => [label < 0 ? "any" : String(label), () => tell(label)]));
  state.model.told = low;
}

function number(low, high) {
  const value = (place) => low * (high / low) ** (place / STEPS);
  const slider = make("input", { type: "range", min: 0, max: STEPS, value: STEPS / 2, id: "told-value" });
  const shown = make("output", {}, value(STEPS / 2).toFixed(2));
  slider.setAttribute("aria-label", $("told-name").textContent);
  slider.addEventListener("input", () => {
    const now = Math.min(high, Math.max(low, value(Number(slider.value))));
    shown.textContent = now.toFixed(2);
    tell(now);
  });
  $("told-choices").append(make("span", {}, low.toPrecision(2)), slider, make("span", {}, high.toPrecision(2)), shown);
  state.model.told = value(STEPS / 2);
}

function picture([height, width, channels]) {
  const row = () => Array.from({ length: width }, () => Array(channels).fill(-1));
  const nothing = Array.from({ length: height }, row);
  let shown = false;
  pills([
    ["nothing", () => ((shown = false), tell(nothing))],
    ["your image", () => ((shown = true), tell(state.model.nested(state.mine)))],
  ]);
  on("mine", () => shown && tell(state.model.nested(state.mine)));
  state.model.told = nothing;
}

// One of several, as radio buttons, so that arrow keys work; the first is chosen.
function pills(choices) {
  $("told-choices").classList.add("pills");
  choices.forEach(([text, work], i) => {
    const input = make("input", { type: "radio", name: "told" });
    input.checked = i === 0;
    input.addEventListener("change", work);
    $("told-choices").append(make("label", {}, input, make("span", {}, text)));
  });
}
