// The page: asks what the model is, then starts the panels that it has signatures for.

import { Model, showMessage } from "./api.js";
import { startCondition } from "./condition.js";
import { startSteps } from "./drawing_steps.js";
import { startReconstruction, startSamples } from "./images.js";
import { startInterpolation } from "./interpolation.js";
import { startLatents } from "./latents.js";
import { $, createElement, state } from "./state.js";

function describe(model) {
  const [height, width, channels] = model.shape;
  const kinds = { 1: "grey", 3: "colour", 4: "colour and alpha" };
  const kind = kinds[channels] ?? `${channels} channels`;
  const content = model.isPoints ? "points of the plane" : `${height} × ${width}, ${kind}`;
  document.title = `${model.name} – tfvae explore`;
  $("name").textContent = model.name;
  $("about").textContent = model.about;
  const facts = [content, `${model.latent} latents`, `version ${model.version}`];
  $("facts").append(...facts.map((text) => createElement("li", {}, text)));
  document.body.classList.toggle("points", model.isPoints);
  document.documentElement.style.setProperty("--aspect", model.isPoints ? "1" : `${width} / ${height}`);
}

async function start() {
  const model = await Model.load();
  state.model = model;
  state.inputImage = new Float32Array(model.shape.reduce((a, b) => a * b)).fill(model.isPoints ? 0.5 : 0);
  describe(model);
  startCondition();
  $("panels").hidden = false;
  startSamples();
  startSteps();
  await startLatents();
  await startReconstruction();
  await startInterpolation();
  document.body.dataset.ready = "yes"; // for those who wait: tests
}

start().catch((error) => {
  $("about").textContent = "The page could not start.";
  showMessage(error.message, start);
});
