// What the panels share: the code on the sliders, your image, and the listeners to their changes.

import { drawNormals } from "./pixels.js";

export const $ = (id) => document.getElementById(id);

const listeners = { code: [], condition: [], inputImage: [] };

export const state = {
  model: null,
  code: null, // z on the sliders, [L]
  inputImage: null, // your image, pixels in a row
};

export function listen(event, work) {
  listeners[event].push(work);
}

export function notify(event) {
  for (const work of listeners[event]) work();
}

export function setCode(code) {
  state.code = Array.from(code);
  notify("code");
}

export function setInputImage(x) {
  state.inputImage = Float32Array.from(x);
  notify("inputImage");
}

// Only elements and texts are ever made, so nothing that a server says becomes HTML.
export function createElement(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
  node.append(...children);
  return node;
}

// The number in a box, a whole one within its bounds, whatever was typed.
export function readInteger(input) {
  const value = Math.min(Number(input.max), Math.max(Number(input.min), Math.round(Number(input.value) || 0)));
  input.value = value;
  return value;
}

// Shows the value of a slider beside its name.
export function showSliderValue(slider, output, format) {
  const update = () => (output.textContent = format(Number(slider.value)));
  slider.addEventListener("input", update);
  update();
}

// The code of the sample with this seed, as the encoder sees it, since not every prior is N(0, I); else a draw of that.
export async function sampleCode(seed, temperature = 1) {
  const { model } = state;
  if (!model.has("sample", "encode")) return drawNormals(model.latent, seed).map((v) => temperature * v);
  return (await model.encode(await model.sample(1, seed, temperature)))[0];
}
