declare const HISTOGRAD_VERSION: string;

/** The package's version, put in by the build (vite.config.ts). */
export const VERSION: string = HISTOGRAD_VERSION;
