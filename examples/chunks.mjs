// Rows in chunks, answered by a file of `rnnspec export --onnx --stream`: for onnxruntime-node and
// onnxruntime-web alike.

const ARRAYS = { float32: Float32Array, float64: Float64Array, int64: BigInt64Array };
const TEXTS = ["words", "chars", "bytes", "category"];

export class Stream {
  // `ort` is onnxruntime's module, `session` an InferenceSession, `about` what FILE.json holds.
  constructor(ort, session, about) {
    Object.assign(this, { ort, session, about });
    this.begin();
  }

  // Begin a row: every state is 0.
  begin() {
    this.states = {};
    for (const { name, shape, kind } of this.about.stream.states) {
      const size = shape.reduce((a, b) => a * b, 1);
      this.states[name] = new this.ort.Tensor(kind, new ARRAYS[kind](size), [1, ...shape]);
    }
  }

  // The outputs for a chunk {column: value} as lists, without the axis of the batch. A language
  // model that writes on writes so many tokens.
  async answer(chunk, end = false, write = 1) {
    const { Tensor } = this.ort;
    const { inputs, stream } = this.about;
    const feeds = { ...this.states };
    for (const column of inputs) {
      const name = column.name || column.column;
      const value = chunk[column.column];
      feeds[name] = this.tensor(column, value);
      if (this.session.inputNames.includes(`${name}.lengths`))
        feeds[`${name}.lengths`] = new Tensor("int64", [BigInt(value.length)], [1]);
    }
    if (stream.write) feeds[stream.write] = new Tensor("int64", [BigInt(write)], [1]);
    if (this.session.inputNames.includes("seed")) feeds.seed = new Tensor("int64", [0n], [1]);
    if (stream.end) feeds[stream.end] = new Tensor("bool", [end], [1]);
    const found = await this.session.run(feeds);
    for (const { name, after } of stream.states) this.states[name] = found[after];
    const answer = {};
    const states = new Set(stream.states.map(({ after }) => after));
    for (const name of this.session.outputNames)
      if (!states.has(name)) answer[name] = lists(found[name].data, found[name].dims)[0];
    for (const [column, lengths] of Object.entries(stream.answered))
      for (const name of Object.keys(answer)) // the others answer each step at once
        if (name.split(".")[0] === column && name !== lengths)
          answer[name] = answer[name].slice(0, answer[lengths]);
    if (end) this.begin();
    return answer;
  }

  tensor({ kind, width, double }, value) {
    const { Tensor } = this.ort;
    if (TEXTS.includes(kind)) return new Tensor("string", [value], [1]);
    const numbers = kind === "number" ? [value] : value.flat ? value.flat() : value;
    const wide = kind === "frames" ? [1, value.length, width] : [1, value.length];
    const shape = kind === "number" ? [1] : wide;
    if (kind.endsWith("ids")) return new Tensor("int64", BigInt64Array.from(numbers, BigInt), shape);
    const type = double ? "float64" : "float32";
    return new Tensor(type, ARRAYS[type].from(numbers), shape);
  }
}

// Nested lists of a tensor's values.
function lists(data, shape) {
  if (!shape.length) return typeof data[0] === "bigint" ? Number(data[0]) : data[0];
  const size = shape.slice(1).reduce((a, b) => a * b, 1);
  const part = (at) => lists(data.slice(at * size, (at + 1) * size), shape.slice(1));
  return Array.from({ length: shape[0] }, (_, at) => part(at));
}

// A value in pieces of so many steps: words or characters of a text, numbers of a list.
export function pieces(value, kind, steps) {
  const parts = kind === "words" ? value.match(/\s*\S+/g) : kind === "chars" ? [...value] : value;
  const found = [];
  for (let at = 0; at < parts.length; at += steps) {
    const piece = parts.slice(at, at + steps);
    found.push(typeof value === "string" ? piece.join("") : piece);
  }
  return found;
}
