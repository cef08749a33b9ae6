// ONNX Runtime as one side of the encoder benchmark: onnxruntime.mjs ONNX_DIR INPUTS f32|int8 THREADS
//
// Speaks what bench/encode_serve.c describes. Settings: all graph optimisations, one operator at a time on THREADS threads
// that spin between operators (the defaults), arena and memory pattern on. Tried on ViT-B/32 and of no use: fixing the free
// dimensions.
import fs from "node:fs";
import path from "node:path";
import readline from "node:readline";
import ort from "onnxruntime-node";

const [onnxDir, inputs, precision, threads] = process.argv.slice(2);
const options = {
  executionProviders: ["cpu"], graphOptimizationLevel: "all", executionMode: "sequential",
  intraOpNumThreads: Number(threads), interOpNumThreads: 1, enableCpuMemArena: true, enableMemPattern: true,
};

function openTower(tower) {
  return ort.InferenceSession.create(path.join(onnxDir, `${tower}-${precision}.onnx`), options);
}

function idTensor(ids) {
  return new ort.Tensor("int64", BigInt64Array.from(ids, BigInt), [1, ids.length]);
}

function say(answer) {
  process.stdout.write(JSON.stringify(answer) + "\n");
}

const { side, ids } = JSON.parse(fs.readFileSync(path.join(inputs, "inputs.json")));
const bytes = fs.readFileSync(path.join(inputs, "images.f32"));
const pixels = new Float32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
const one = 3 * side * side;

function pixelTensor(first, count) {
  return new ort.Tensor("float32", pixels.subarray(first * one, (first + count) * one), [count, 3, side, side]);
}

const begun = performance.now();
const text = await openTower("text");
const image = await openTower("image");
const opened = performance.now();

const encodeText = async (tensor) => (await text.run({ ids: tensor })).vectors.data;
const encodeImages = async (tensor) => (await image.run({ pixels: tensor })).vectors.data;

async function timeRuns(encode, tensor, runs) {
  const ms = [];
  await encode(tensor);
  for (let i = 0; i < runs; i++) {
    const start = performance.now();
    await encode(tensor);
    ms.push(performance.now() - start);
  }
  return { ms };
}

async function writeVectors(file) {
  const vectors = [];
  for (const line of ids)
    vectors.push(await encodeText(idTensor(line)));
  const images = pixels.length / one;
  for (let i = 0; i < images; i++)
    vectors.push(await encodeImages(pixelTensor(i, 1)));
  fs.writeFileSync(file, Buffer.concat(vectors.map((v) => Buffer.from(v.buffer, v.byteOffset, v.byteLength))));
  return { vectors: [ids.length, images, vectors[0].length] };
}

async function obey(line) {
  const [command, what, runs] = line.split(" ");
  if (command === "text")
    return timeRuns(encodeText, idTensor(ids[what]), Number(runs));
  if (command === "images")
    return timeRuns(encodeImages, pixelTensor(0, Number(what)), Number(runs));
  if (command === "vectors")
    return writeVectors(what);
  throw new Error(`not a command: ${line}`);
}

await encodeText(idTensor([ids[0][0], ids[0].at(-1)]));
await encodeImages(pixelTensor(0, 1));
say({ version: ort.env.versions.node, open_ms: opened - begun, first_ms: performance.now() - opened });
for await (const line of readline.createInterface({ input: process.stdin }))
  say(await obey(line));
