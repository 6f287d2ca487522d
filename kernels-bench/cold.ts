/**
 * Drivers keep what they compiled on disk, and the second `npm run bench` would find it: the first use of a kernel would then
 * seem to cost nothing. Metal's and Direct3D's caches cannot be turned off from here.
 */
const SETTINGS = {
  MESA_SHADER_CACHE_DISABLE: 'true',
  __GL_SHADER_DISK_CACHE: '0', // NVIDIA's, for Vulkan as well
  CUDA_CACHE_DISABLE: '1',
  TORCHINDUCTOR_FORCE_DISABLE_CACHES: '1',
};

/** Turns off the caches of the drivers, ours and the peers'. Before the first adapter: that loads them. */
export function forgetCompiled(): void {
  Object.assign(process.env, SETTINGS);
}

/** For the record of a run. */
export function driverCache(): string {
  const set = Object.entries(SETTINGS).filter(([name, value]) => process.env[name] === value);
  return set.length > 0 ? `off (${set.map((pair) => pair.join('=')).join(', ')})` : 'on';
}
