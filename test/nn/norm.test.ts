import { PixelNorm } from '../../src/nn/norm.ts';
import { proveLayer } from './prove-layer.ts';

proveLayer({ layer: PixelNorm, make: () => new PixelNorm() });
