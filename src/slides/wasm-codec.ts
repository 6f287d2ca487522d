/**
 * Decoders compiled to WebAssembly: one instance a thread, made at the first use.
 *
 * A decoder that throws leaks what it had allocated, and an aborted instance stays broken; so after a few failures the
 * instance is dropped and its memory with it.
 */

interface WasmDecoder {
  /** Room for the encoded bytes, in the module's memory. */
  getEncodedBuffer(length: number): Uint8Array;
  decode(): void;
  /** A view of the module's memory; valid until the next call. */
  getDecodedBuffer(): Uint8Array;
  getFrameInfo(): {
    readonly width: number;
    readonly height: number;
    readonly bitsPerSample: number;
    readonly componentCount: number;
    readonly isSigned: boolean;
  };
  delete(): void;
}

export type CodecFactory<Name extends string> = (options: {
  print(): void;
  printErr(): void;
  locateFile?(): string;
}) => Promise<Record<Name, new () => WasmDecoder>>;

export interface DecodedSamples {
  readonly width: number;
  readonly height: number;
  readonly components: number;
  readonly bits: number;
  /** Interleaved. */
  readonly data: Uint8Array;
}

const MAX_FAILURES = 8;
const IN_NODE = typeof process === 'object' && typeof process.versions?.node === 'string';

export class WasmCodec<Name extends string> {
  readonly #name: Name;
  readonly #factory: () => Promise<CodecFactory<Name>>;
  readonly #wasmUrl: () => Promise<string>;
  #module: Promise<Record<Name, new () => WasmDecoder>> | null = null;
  #failures = 0;

  constructor(
    name: Name,
    factory: () => Promise<CodecFactory<Name>>,
    wasmUrl: () => Promise<string>,
  ) {
    this.#name = name;
    this.#factory = factory;
    this.#wasmUrl = wasmUrl;
  }

  /** Throws whatever the codec throws, a number for a C++ exception. */
  async decode(bytes: Uint8Array): Promise<DecodedSamples> {
    this.#module ??= this.#load();
    const module = await this.#module;
    const decoder = new module[this.#name]();
    try {
      decoder.getEncodedBuffer(bytes.length).set(bytes);
      decoder.decode();
      const { width, height, componentCount, bitsPerSample } = decoder.getFrameInfo();
      const data = decoder.getDecodedBuffer().slice();
      return { width, height, components: componentCount, bits: bitsPerSample, data };
    } catch (cause) {
      // C++ exceptions are numbers; an Error is an abort or exhausted memory.
      if (++this.#failures >= MAX_FAILURES || cause instanceof Error) {
        this.#module = null;
        this.#failures = 0;
      }
      throw cause;
    } finally {
      try {
        decoder.delete();
      } catch {
        // An aborted instance cannot even free; it is dropped as a whole.
      }
    }
  }

  async #load(): Promise<Record<Name, new () => WasmDecoder>> {
    const silent = { print() {}, printErr() {} };
    const factory = await this.#factory();
    // Node finds the .wasm beside the module; a bundle must be told.
    if (IN_NODE) return factory(silent);
    const url = await this.#wasmUrl();
    return factory({ ...silent, locateFile: () => url });
  }
}
