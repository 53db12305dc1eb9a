// Calls of files, answered by onnxruntime for JavaScript: in Node
//
//     node answer.mjs NAME...
//
// and in a browser by `answered`. What comes in and goes out is as in answer.py. On one thread: the
// rows that one computes share the scales of 8 bits.

const ARRAYS = {
  float32: Float32Array, float64: Float64Array, int64: BigInt64Array, int32: Int32Array,
  uint8: Uint8Array, int8: Int8Array, bool: Uint8Array,
};

function tensor(ort, { type, dims, data }) {
  if (type === "string") return new ort.Tensor("string", data, dims);
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  return new ort.Tensor(type, new ARRAYS[type](bytes.buffer), dims);
}

function packed({ type, dims, data }) {
  if (type === "string") return { type, dims: [...dims], data: [...data] };
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  let text = "";
  for (const byte of bytes) text += String.fromCharCode(byte);
  return { type, dims: [...dims], data: btoa(text) };
}

async function group(ort, session, calls) {
  const found = [];
  let last = {};
  try {
    for (const { feeds, carried } of calls) {
      const given = {};
      for (const [name, value] of Object.entries(feeds)) given[name] = tensor(ort, value);
      for (const [name, after] of Object.entries(carried)) given[name] = last[after];
      last = await session.run(given);
      found.push(Object.fromEntries(Object.entries(last).map(([k, v]) => [k, packed(v)])));
    }
  } catch (error) {
    return { error: String(error.message ?? error) };
  }
  return found;
}

export async function answered(ort, model, groups) {
  let session;
  try {
    session = await ort.InferenceSession.create(model, { intraOpNumThreads: 1 });
  } catch (error) {
    return { load: String(error.message ?? error) };
  }
  const found = { load: "" };
  for (const [name, calls] of Object.entries(groups)) found[name] = await group(ort, session, calls);
  return found;
}

if (typeof process !== "undefined" && process.argv?.[2]) {
  const { readFile } = await import("node:fs/promises");
  const { createRequire } = await import("node:module");
  const ort = createRequire(`${process.cwd()}/`)("onnxruntime-node");
  for (const name of process.argv.slice(2)) {
    const { groups } = JSON.parse(await readFile(`${name}.calls.json`, "utf8"));
    console.log(JSON.stringify(await answered(ort, `${name}.onnx`, groups)));
  }
}
