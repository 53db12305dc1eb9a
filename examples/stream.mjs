// A row in chunks, answered in Node with onnxruntime-node:
//
//     node stream.mjs FILE.onnx ROW.json STEPS
//
// FILE.json lies beside FILE.onnx. ROW.json holds a row, {"column": value}, of which STEPS steps
// are read at a time. A line for each chunk has the outputs of the file as JSON.

import { readFile } from "node:fs/promises";
import * as ort from "onnxruntime-node";
import { Stream, pieces } from "./chunks.mjs";

const [file, row, steps] = process.argv.slice(2);
const json = async (name) => JSON.parse(await readFile(name, "utf8"));
const about = await json(file.replace(/\.onnx$/, ".json"));
const session = await ort.InferenceSession.create(file);
const stream = new Stream(ort, session, about);
const [{ column, kind }] = about.inputs;
const parts = pieces((await json(row))[column], kind, Number(steps));
for (const [at, part] of parts.entries())
  console.log(JSON.stringify(await stream.answer({ [column]: part }, at + 1 === parts.length)));
