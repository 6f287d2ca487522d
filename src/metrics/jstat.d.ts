/** The one function used of jstat, which ships no types. */
declare module 'jstat' {
  const jstat: {
    /** Regularised incomplete beta function I_x(a, b); relative error about 1e-7. */
    ibeta(x: number, a: number, b: number): number;
  };
  export default jstat;
}
