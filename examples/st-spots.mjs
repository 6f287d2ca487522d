// Expression of single spots from pretrained networks: features of every spot's crop, ridge regression and
// Direct-Patch-Level on them, Pearson within each section (docs/results.md). Needs the packs her2st-mini and mob-mini and
// the three weights files:
//   npm run build && node examples/st-spots.mjs ../shared/data [side of the images in pixels, 64]
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import * as hg from 'histograd';

const [data = '../shared/data', side = '64'] = process.argv.slice(2);
const CACHE = 'runs/st-spots';
const GENES = 250;
/** Times the width of the features. */
const PENALTIES = [1, 10, 100];
const WEIGHTS = {
  shufflenet: 'shufflenet_v1_g4_tcga_msi_histology',
  squeezenet: 'squeezenet1_0_imagenet',
  mobilenet: 'mobilenet_v2_1.0_224_imagenet',
};
const seconds = (start) => (performance.now() - start) / 1000;
const mean = (values) => values.reduce((sum, value) => sum + value, 0) / values.length;
const range = (from, to) => Array.from({ length: to - from }, (_, i) => from + i);

/**
 * Where a network's stages end, the last left out: the steps up to each. Pooled, these are features of smaller fields than
 * the embedding, which at 64 px is a mean of 2 x 2 positions.
 */
const STAGES = {
  shufflenet: ({ conv1, stage2, stage3 }) => [
    [(x) => hg.relu(conv1.forward(x)), (x) => hg.maxPool2d(x, 3, { stride: 2, padding: 1 })],
    stage2.steps,
    stage3.steps,
  ],
  squeezenet: ({ features }) => layers(features, [6, 11]),
  mobilenet: ({ features }) => layers(features, [4, 7, 14]),
};
const layers = (features, ends) =>
  ends.map((end, i) => range(ends[i - 1] ?? 0, end).map((j) => (x) => features.at(j).forward(x)));

function pooledStages(net, network, images) {
  const pooled = [];
  let x = images;
  for (const steps of STAGES[network](net)) {
    for (const step of steps) x = step(x);
    pooled.push(hg.globalAvgPool2d(x));
  }
  return hg.concat(pooled, 1);
}

/** Every crop through a network, [spots, width]; kept in a file for the next run. */
async function embed(device, packName, pack, network, stages) {
  const path = `${CACHE}/${packName}-${network}${stages ? '-stages' : ''}-${side}.f32`;
  const cached = await readFile(path).catch(() => null);
  if (cached) return new Float32Array(new Uint8Array(cached).buffer);
  const start = performance.now();
  const net = hg.createExtractor(network, { device, generator: new hg.Generator(0) }).eval();
  hg.loadWeights(net, await hg.readCheckpoint(`${data}/weights/${WEIGHTS[network]}.safetensors`));
  const preprocessing = { ...net.preprocessing, size: Number(side) };
  const batches = [];
  for (const { crops, spots } of pack.sections) {
    const bytes = 3 * pack.side ** 2;
    for (let from = 0; from < spots; from += 32) {
      const count = Math.min(32, spots - from);
      const pixels = crops.slice(from * bytes, (from + count) * bytes);
      const features = hg.scope(() =>
        hg.noGrad(() => {
          const shape = [count, pack.side, pack.side];
          const images = hg.preprocess(device, pixels, shape, preprocessing);
          return stages ? pooledStages(net, network, images) : net.forward(images);
        }),
      );
      batches.push(await features.floats());
      features.dispose();
    }
  }
  net.dispose();
  const features = joined(batches);
  await mkdir(CACHE, { recursive: true });
  await writeFile(path, new Uint8Array(features.buffer));
  console.log(`${path}: ${seconds(start).toFixed(0)} s`);
  return features;
}

/** What `describe` says of every crop. */
function perCrop({ sections, side }, describe) {
  const bytes = 3 * side ** 2;
  const ofSection = ({ crops, spots }) =>
    range(0, spots).map((i) => describe(crops.subarray(i * bytes, (i + 1) * bytes), side));
  return joined(sections.flatMap(ofSection));
}

/** Mean and deviation of red, green and blue. */
function colour(rgb) {
  const channels = [0, 1, 2].map((c) => rgb.filter((_, i) => i % 3 === c));
  return Float32Array.from(
    channels.flatMap((values) => {
      const m = mean(values);
      return [m, Math.sqrt(mean(Array.from(values, (v) => (v - m) ** 2)))];
    }),
  );
}

function joined(arrays) {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
}

/** Mean 0 and deviation 1 of every column in every section: no labels, and no other section, are looked at. */
function standardised(features, sections) {
  const width = features.length / sections.at(-1).to;
  const out = new Float32Array(features.length);
  for (const { from, to } of sections) {
    for (let c = 0; c < width; c++) {
      const column = range(from, to).map((i) => features[i * width + c]);
      const m = mean(column);
      const deviation = Math.sqrt(mean(column.map((v) => (v - m) ** 2))) || 1;
      for (let i = from; i < to; i++)
        out[i * width + c] = (features[i * width + c] - m) / deviation;
    }
  }
  return out;
}

const rowsOf = (sections) => sections.flatMap(({ from, to }) => range(from, to));
const take = (table, rows, width) =>
  joined(rows.map((i) => table.subarray(i * width, (i + 1) * width)));

/** Mean Pearson within the sections of predictions for all their spots. */
function score(predicted, targets, sections) {
  const spots = sections.map(({ from, to }) => to - from);
  return hg.withinSections(predicted, take(targets, rowsOf(sections), GENES), GENES, spots).mean;
}

/** The best penalty inside the training sections: each left out once, or a fifth of the spots where there is one. */
function choosePenalty(ridge, targets, train) {
  const [only] = train;
  const fifth = (k) => Math.round(only.from + ((only.to - only.from) * k) / 5);
  const parts =
    train.length > 1 ? train : range(0, 5).map((k) => ({ from: fifth(k), to: fifth(k + 1) }));
  const scores = PENALTIES.map((penalty) =>
    mean(
      parts.map((part) => {
        const rest = rowsOf(parts.filter((other) => other !== part));
        const predicted = ridge.predict(targets, rest, rowsOf([part]), penalty * ridge.width);
        return score(predicted, targets, [part]);
      }),
    ),
  );
  return scores.indexOf(Math.max(...scores));
}

function ridgeScores(features, targets, folds, count) {
  const ridge = new hg.DualRidge(features, count);
  const perFold = folds.map(({ train, test }) => {
    const scores = PENALTIES.map((penalty) => {
      const predicted = ridge.predict(targets, rowsOf(train), rowsOf(test), penalty * ridge.width);
      return score(predicted, targets, test);
    });
    const chosen = choosePenalty(ridge, targets, train);
    return { scores, chosen };
  });
  const perPenalty = PENALTIES.map((_, p) => mean(perFold.map(({ scores }) => scores[p])));
  return {
    perPenalty,
    best: Math.max(...perPenalty),
    chosen: mean(perFold.map(({ scores, chosen }) => scores[chosen])),
    folds: perFold.map(({ scores, chosen }) => ({
      score: scores[chosen],
      penalty: PENALTIES[chosen],
    })),
  };
}

/** Direct-Patch-Level, a spot being a bag of one patch, regularised as in examples/real-tissue.yaml. */
async function patchLevelScore(device, features, targets, { train, test }) {
  const width = features.length / (targets.length / GENES);
  const generator = new hg.Generator(0);
  const options = { hidden: 128, dropout: 0.5 };
  const model = hg.createModel(
    'direct-patch-level',
    { device, generator },
    { width, genes: GENES },
    options,
  );
  const rows = rowsOf(train);
  const y = zscored(take(targets, rows, GENES));
  const parameters = model.namedParameters();
  const optimizer = new hg.AdamW(parameters, { lr: 1e-3, weightDecay: 1e-2 });
  const bags = (indices) => ({
    features: hg.Tensor.from(device, take(features, indices, width), [indices.length, width]),
    segments: hg.Segments.ofLengths(
      device,
      indices.map(() => 1),
    ),
  });
  for (let epoch = 0; epoch < 40; epoch++) {
    const order = hg.shuffle(rows.length, 0, epoch);
    for (let at = 0; at < order.length; at += 128) {
      const batch = order.slice(at, at + 128);
      hg.scope(() => {
        optimizer.zeroGrad();
        const wanted = hg.Tensor.from(device, take(y, batch, GENES), [batch.length, GENES]);
        hg.backward(model.loss(bags(batch.map((i) => rows[i])), wanted));
        optimizer.step(hg.clipGradNorm(parameters.values(), 1));
      });
    }
    await device.sync();
  }
  const { expression } = await model.eval().predict(bags(rowsOf(test)));
  optimizer.dispose();
  model.dispose();
  return score(expression, targets, test);
}

/** Columns to mean 0 and deviation 1 over the training spots; correlations need no way back. */
function zscored(table) {
  const rows = table.length / GENES;
  return standardised(table, [{ from: 0, to: rows }]);
}

const device = await hg.Device.open();
console.log(`${device.adapter.name}; images of ${side} px`);
const rows = [];
for (const packName of ['mob-mini', 'her2st-mini']) {
  const pack = await hg.readStSpots(`${data}/${packName}`, GENES);
  let at = 0;
  const sections = pack.sections.map(({ id, patient, spots }) => {
    at += spots;
    return { id, patient, from: at - spots, to: at };
  });
  const targets = joined(pack.sections.map(({ expression }) => expression));
  const leaveOut = (key, among) =>
    [...new Set(among.map((section) => section[key]))].map((value) => ({
      train: among.filter((section) => section[key] !== value),
      test: among.filter((section) => section[key] === value),
    }));
  const tasks = {
    [`${packName}, one ${packName === 'mob-mini' ? 'animal' : 'patient'} out`]: leaveOut(
      'patient',
      sections,
    ),
  };
  if (packName === 'her2st-mini') {
    const ofC = sections.filter(({ patient }) => patient === 'C');
    tasks['her2st-mini, one section out within C'] = leaveOut('id', ofC);
  }
  const sets = {
    colour: () => perCrop(pack, colour),
    statistics: () => perCrop(pack, hg.tileStatistics),
    ...Object.fromEntries(
      Object.keys(WEIGHTS).flatMap((network) => [
        [network, () => embed(device, packName, pack, network, false)],
        [`${network}, stages`, () => embed(device, packName, pack, network, true)],
      ]),
    ),
  };
  for (const [set, compute] of Object.entries(sets)) {
    const features = standardised(await compute(), sections);
    for (const [task, folds] of Object.entries(tasks)) {
      const start = performance.now();
      const { best, chosen, ...detail } = ridgeScores(features, targets, folds, at);
      const ridgeTime = seconds(start);
      const perFold = [];
      for (const fold of folds)
        perFold.push(await patchLevelScore(device, features, targets, fold));
      rows.push({ task, set, best, chosen, patchLevel: mean(perFold) });
      console.log(
        `${task} | ${set} | ridge, best of three ${best.toFixed(3)}, chosen inside ${chosen.toFixed(3)} | Direct-Patch-Level ${mean(perFold).toFixed(3)}`,
        JSON.stringify({
          ...detail,
          patchLevel: perFold,
          ridgeTime,
          patchLevelTime: seconds(start) - ridgeTime,
        }),
      );
    }
  }
}
console.table(rows);
await writeFile(`${CACHE}/scores-${side}.json`, JSON.stringify(rows, null, 1));
device.close();
