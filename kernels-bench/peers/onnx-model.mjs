/** ONNX files, written from plain descriptions: `OnnxGraph` of ../onnx-graph.ts. */
import onnxProto from 'onnx-proto';

const { ModelProto, AttributeProto, TensorProto } = onnxProto.onnx;
const { FLOAT, INT64 } = TensorProto.DataType;

/** Operator sets: 20 has Gelu; MultiHeadAttention is onnxruntime's own. */
const OPSETS = [
  { domain: '', version: 20 },
  { domain: 'com.microsoft', version: 1 },
];

function attribute([key, value]) {
  const { INT, INTS, FLOAT } = AttributeProto.AttributeType;
  if (key.endsWith(':f')) return { name: key.slice(0, -2), type: FLOAT, f: value };
  return Array.isArray(value)
    ? { name: key, type: INTS, ints: value }
    : { name: key, type: INT, i: value };
}

function value({ name, shape }) {
  const dim = shape.map((dimValue) => ({ dimValue }));
  return { name, type: { tensorType: { elemType: FLOAT, shape: { dim } } } };
}

function initializer([name, { shape, data }]) {
  const rawData = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, dims: shape, dataType: data instanceof Float32Array ? FLOAT : INT64, rawData };
}

/** The bytes of an .onnx file. `input` may be missing: then all is constant. */
export function onnxModel({ input, output, nodes, constants }) {
  const model = ModelProto.create({
    irVersion: 9,
    producerName: 'histograd-kernels-bench',
    opsetImport: OPSETS,
    graph: {
      name: 'graph',
      node: nodes.map(({ op, domain, inputs, outputs, attributes }, i) => ({
        name: `${op}_${i}`,
        opType: op,
        domain: domain ?? '',
        input: inputs,
        output: outputs,
        attribute: Object.entries(attributes ?? {}).map(attribute),
      })),
      initializer: [...constants].map(initializer),
      input: input ? [value(input)] : [],
      output: [value(output)],
    },
  });
  return ModelProto.encode(model).finish();
}
