/** Emscripten modules of the codecs, which ship no types: the part used. */
declare module '@cornerstonejs/codec-libjpeg-turbo-8bit/decodewasmjs' {
  const factory: import('./wasm-codec.ts').CodecFactory<'JPEGDecoder'>;
  export default factory;
}
declare module '@cornerstonejs/codec-openjpeg/decodewasmjs' {
  const factory: import('./wasm-codec.ts').CodecFactory<'J2KDecoder'>;
  export default factory;
}
declare module '@cornerstonejs/*?url' {
  const url: string;
  export default url;
}
