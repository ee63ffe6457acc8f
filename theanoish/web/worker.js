// Behind network.js and resample.js in a worker: a model first, then songs as mono samples at their own rate.
let tag, columns;
onmessage = ({ data: { model, mono, rate } }) => {
  if (model) {
    tag = makeNetwork(model);
    columns = model.columns;
    return;
  }
  const samples = to16Bits(resampled(mono, rate)), begins = windowBegins(samples.length);
  const padded = samples.length < WINDOW_SAMPLES ? new Int16Array(WINDOW_SAMPLES) : samples;
  padded.set(samples);
  const windows = begins.map((begin, done) => {
    if (done % 16 === 0) postMessage({ share: done / begins.length });
    const probabilities = tag(padded, begin);
    return columns.map((column) => probabilities[column]);
  });
  postMessage({ windows, begins: begins.map((begin) => begin / SAMPLE_RATE), seconds: samples.length / SAMPLE_RATE });
};
