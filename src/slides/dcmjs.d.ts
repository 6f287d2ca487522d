/** The part of dcmjs used; it ships no types. */
declare module 'dcmjs' {
  const dcmjs: {
    readonly log: { setLevel(level: 'silent'): void };
    readonly data: {
      readonly DicomMessage: {
        readFile(buffer: ArrayBuffer): { readonly dict: Readonly<Record<string, unknown>> };
      };
    };
  };
  export default dcmjs;
}
