// A guarded model in ONNX Runtime for JavaScript: one JSON line for each frame, with the highest place of its map where
// the model has one.
//
//   npm install onnxruntime-node
//   node run.mjs guarded.onnx frames.f32 [threshold]
//
// frames.f32: raw little-endian float32, frame after frame, in the shape of the model's input.
// threshold: in place of the one in the model; of every class, if it has one for each.
import { readFileSync } from "node:fs";
import * as ort from "onnxruntime-node"; // or "onnxruntime-web", with the same calls

const [model, frames, given] = process.argv.slice(2);
if (!frames) fail("usage: node run.mjs MODEL FRAMES [THRESHOLD]");
const threshold = Math.fround(given);
if (given !== undefined && !(threshold >= 0 && threshold < Infinity)) fail(`expected a THRESHOLD >= 0, got ${given}`);

const session = await ort.InferenceSession.create(model, { logSeverityLevel: 3 }).catch((error) => fail(error.message));
for (const name of ["outrider_alarm", "outrider_score"]) {
  if (!session.outputNames.includes(name)) fail(`${model}: expected the output ${name}, got ${session.outputNames}`);
}

const input = session.inputMetadata[0];
if (input.type !== "float32") fail(`${model}: expected an input of float32, got ${input.type}`);
const shape = input.shape.map((size, axis) => (axis === 0 && typeof size === "string" ? 1 : size));
if (shape.some((size) => typeof size === "string")) fail(`${model}: expected frames of a fixed shape, got ${shape}`);
const batch = shape.reduce((a, b) => a * b, 1);

const file = readFileSync(frames);
if (file.length % (4 * batch)) fail(`${frames}: expected a multiple of ${4 * batch} bytes, got ${file.length}`);
const values = new Float32Array(new Uint8Array(file).buffer);

for (let start = 0, frame = 0; start < values.length; start += batch) {
  const tensor = new ort.Tensor("float32", values.subarray(start, start + batch), shape);
  const { outrider_alarm, outrider_score, outrider_map } = await session.run({ [input.name]: tensor });
  for (let i = 0; i < shape[0]; i++, frame++) {
    const score = outrider_score.data[i];
    // ONNX Runtime for JavaScript cannot feed the input outrider_threshold; what the model does with it is this.
    const alarm = given === undefined ? Boolean(outrider_alarm.data[i]) : !(score <= threshold);
    const peak = outrider_map && highest(outrider_map, i);
    console.log(JSON.stringify({ frame, alarm, score, peak })); // what is infinite becomes null, no peak is left out
  }
}

// Where the map (frames, height, width) of a frame is highest, in places, and how high.
function highest({ data, dims: [, height, width] }, frame) {
  const map = data.subarray(frame * height * width, (frame + 1) * height * width);
  const place = map.reduce((best, value, k) => (value > map[best] ? k : best), 0);
  return { x: place % width, y: Math.floor(place / width), value: map[place] };
}

function fail(message) {
  console.error(`run.mjs: ${message}`);
  process.exit(2);
}
