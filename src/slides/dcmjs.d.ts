/** The part of dcmjs used; it ships no types. */
declare module 'dcmjs' {
  const dcmjs: {
    readonly log: {
      getLogger(name: string): { setLevel(level: 'silent', persist: boolean): void };
    };
    readonly data: {
      readonly DicomMessage: {
        readFile(buffer: ArrayBuffer): { readonly dict: Readonly<Record<string, unknown>> };
      };
    };
  };
  export default dcmjs;
}
