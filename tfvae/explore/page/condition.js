// The condition: a class, beta or kappa, or a picture.

import { $, createElement, listen, notify, state } from "./state.js";

const STEPS = 400; // of a slider, equal shares of the logarithm
const NOTES = {
  beta: "The weight of the rate: small for sharp images, large for short codes.",
  kappa: "The error that it may make: small for sharp images, large for short codes.",
  labels: "The class of the images that it draws and sees.",
};

// Gives `model.conditionValue` its first value, and the page its control.
export function startCondition() {
  const { model } = state;
  const input = model.signatures.decode.inputs.condition;
  if (!input) return;
  const { name, low, high, names } = model.condition;
  $("condition").hidden = false;
  $("condition-name").textContent = name === "labels" ? "Class" : name;
  $("condition-note").textContent = NOTES[name] ?? "A part of a picture, which the model completes.";
  if (input.shape.length > 1) showPictureChoices(input.shape.slice(1));
  else if (input.dtype === "DT_INT32") showLabels(low, high, names ?? []);
  else showSlider(low, high);
}

function setCondition(value) {
  state.model.conditionValue = value;
  notify("condition");
}

function showLabels(low, high, names) {
  const classes = Array.from({ length: high - low + 1 }, (_, i) => low + i);
  showChoices(classes.map((label) => [label < 0 ? "any" : (names[label] ?? String(label)), () => setCondition(label)]));
  state.model.conditionValue = low;
}

function showSlider(low, high) {
  const valueAt = (step) => low * (high / low) ** (step / STEPS);
  const slider = createElement("input", { type: "range", min: 0, max: STEPS, value: STEPS / 2, id: "condition-value" });
  const output = createElement("output", {}, valueAt(STEPS / 2).toFixed(2));
  slider.setAttribute("aria-label", $("condition-name").textContent);
  slider.addEventListener("input", () => {
    const value = Math.min(high, Math.max(low, valueAt(Number(slider.value))));
    output.textContent = value.toFixed(2);
    setCondition(value);
  });
  const [least, greatest] = [low, high].map((value) => createElement("span", {}, value.toPrecision(2)));
  $("condition-choices").append(least, slider, greatest, output);
  state.model.conditionValue = valueAt(STEPS / 2);
}

function showPictureChoices([height, width, channels]) {
  const row = () => Array.from({ length: width }, () => Array(channels).fill(-1));
  const nothing = Array.from({ length: height }, row);
  let usesImage = false;
  showChoices([
    ["nothing", () => ((usesImage = false), setCondition(nothing))],
    ["your image", () => ((usesImage = true), setCondition(state.model.nested(state.inputImage)))],
  ]);
  listen("inputImage", () => usesImage && setCondition(state.model.nested(state.inputImage)));
  state.model.conditionValue = nothing;
}

// One of several, as radio buttons, so that arrow keys work; the first is chosen.
function showChoices(choices) {
  $("condition-choices").classList.add("pills");
  choices.forEach(([text, work], i) => {
    const input = createElement("input", { type: "radio", name: "condition" });
    input.checked = i === 0;
    input.addEventListener("change", work);
    $("condition-choices").append(createElement("label", {}, input, createElement("span", {}, text)));
  });
}
