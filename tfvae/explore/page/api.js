// TensorFlow Serving's REST API of one model, and the order of requests: the newest wins.

export class Model {
  // about: model.json; signatures: {name: {inputs, outputs: {key: {dtype, shape}}}}, -1 for a free side.
  constructor(about, signatures, version) {
    Object.assign(this, about, { signatures, version });
    this.place = `v1/models/${about.name}`;
    this.told = null; // the condition's value for every image, of the shape of one
    const decode = signatures.decode;
    this.shape = decode.outputs.image.shape.slice(1); // H, W, C
    this.latent = decode.inputs.z.shape[1];
    this.points = String(this.shape) === "1,2,1"; // toy data: each image is a point of the plane
  }

  static async load() {
    const about = await json("model.json");
    const found = await json(`v1/models/${about.name}/metadata`);
    const signatures = {};
    for (const [name, info] of Object.entries(found.metadata.signature_def.signature_def))
      signatures[name] = { inputs: specs(info.inputs), outputs: specs(info.outputs) };
    const { inputs, outputs } = signatures.decode ?? { inputs: {}, outputs: {} };
    if (inputs.z?.shape.length !== 2 || outputs.image?.shape.length !== 4)
      throw new Error("Expected a model with the signature decode, from codes z to images. Received: another one.");
    return new Model(about, signatures, found.model_spec.version);
  }

  has(...names) {
    return names.every((name) => name in this.signatures);
  }

  // {output: value} of a signature; `count` images are asked for, each told the same.
  async call(name, inputs, count = 1) {
    const signature = this.signatures[name];
    if ("condition" in signature.inputs) inputs = { ...inputs, condition: Array(count).fill(this.told) };
    const body = JSON.stringify({ signature_name: name, inputs });
    const { outputs } = await json(`${this.place}:predict`, { method: "POST", body });
    const names = Object.keys(signature.outputs);
    return names.length === 1 ? { [names[0]]: outputs } : outputs; // one output alone has no name
  }

  async decode(codes) {
    return (await this.call("decode", { z: codes.map((z) => Array.from(z)) }, codes.length)).image.map(flat);
  }

  async sample(n, seed, temperature = 1) {
    return (await this.call("sample", { n, seed: [seed, 0], temperature })).image.map(flat);
  }

  // Means of q(z|x).
  async encode(images) {
    return (await this.call("encode", { x: images.map((x) => this.nested(x)) }, images.length)).mean;
  }

  async reconstruct(x) {
    return flat((await this.call("reconstruct", { x: [this.nested(x)] })).image[0]);
  }

  async measure(x) {
    return await this.call("elbo", { x: [this.nested(x)], seed: [0, 0] });
  }

  // The pictures after each step: [n][steps] images.
  async draw(n, seed, temperature) {
    const { frames } = await this.call("draw", { n, seed: [seed, 0], temperature });
    return frames.map((drawing) => drawing.map(flat));
  }

  // Pixels in a row -> [H][W][C], four digits each, so that bodies stay short.
  nested(x) {
    const [height, width, channels] = this.shape;
    const pixel = (i) => Array.from(x.subarray(i * channels, (i + 1) * channels), (v) => Math.round(1e4 * v) / 1e4);
    return Array.from({ length: height }, (_, r) => Array.from({ length: width }, (_, c) => pixel(r * width + c)));
  }
}

const flat = (image) => Float32Array.from(image.flat(2));

function specs(infos) {
  const sides = (shape) => (shape.dim ?? []).map((side) => Number(side.size));
  const spec = ({ dtype, tensor_shape }) => ({ dtype, shape: sides(tensor_shape) });
  return Object.fromEntries(Object.entries(infos ?? {}).map(([key, info]) => [key, spec(info)]));
}

async function json(path, options) {
  let answer;
  try {
    answer = await fetch(path, options);
  } catch {
    throw new Error("The server does not answer. Is  tfvae explore  still running?");
  }
  const found = await answer.json().catch(() => ({ error: `The server answered ${answer.status} without JSON.` }));
  if (!answer.ok) throw new Error(sentence(String(found.error)));
  return found;
}

// What the model itself says, without the names of nodes that TensorFlow Serving adds.
function sentence(text) {
  const said = /assertion failed: \[(.*?)\](?:\s*\[|\s|$)/.exec(text);
  return (said ? said[1] : text).split("\n")[0].slice(0, 300);
}

// One piece of work at a time; of those asked for meanwhile only the newest is done.
export class Latest {
  constructor(work) {
    this.work = work;
    this.busy = false;
    this.next = null;
  }

  async ask(...given) {
    this.next = given;
    if (this.busy) return;
    this.busy = true;
    while (this.next) {
      const now = this.next;
      this.next = null;
      try {
        await this.work(...now);
        say("", this);
      } catch (error) {
        say(error.message, this);
      }
    }
    this.busy = false;
  }
}

const troubles = new Map();

// One line at the foot of the page, until whoever said it says "".
export function say(text, who) {
  if (text) troubles.set(who, text);
  else troubles.delete(who);
  document.getElementById("message").textContent = [...troubles.values()].at(-1) ?? "";
}
