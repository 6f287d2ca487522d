import { afterEach, describe, expect, it, vi } from 'vitest';
import { adapterSetting } from '#platform';
import { type AdapterRequest, chooseAdapter, inspectAdapter } from '../../src/gpu/adapter.ts';
import { requestFrom } from '../../src/gpu/platform-browser.ts';

function info(fields: Partial<GPUAdapterInfo>): GPUAdapterInfo {
  const base = { vendor: '', architecture: '', device: '', description: '' };
  return { ...base, isFallbackAdapter: false, ...fields } as GPUAdapterInfo;
}

describe('chooseAdapter', () => {
  it('finds an adapter that makes a device, and gives its reasons', async () => {
    const chosen = await chooseAdapter();
    expect(chosen.request).toBe(adapterSetting() ?? 'auto');
    expect(chosen.why).not.toBe('');
    expect(chosen.tried.at(-1)?.result).toBe(`found ${chosen.name}`);
    const device = await chosen.adapter.requestDevice();
    expect(device.limits.maxComputeInvocationsPerWorkgroup).toBeGreaterThanOrEqual(256);
    device.destroy();
  });

  it('gives a fresh adapter each time', async () => {
    const [first, second] = [await chooseAdapter(), await chooseAdapter()];
    for (const { adapter } of [first, second]) (await adapter.requestDevice()).destroy();
    expect(second.name).toBe(first.name);
  });

  it('names the adapters it knows when asked for another', async () => {
    const asked = 'cuda' as AdapterRequest;
    await expect(chooseAdapter(asked)).rejects.toMatchObject({
      code: 'bad-adapter-request',
      message: expect.stringMatching(/Unknown adapter 'cuda'.*\n.*auto, hardware, lavapipe/),
    });
  });
});

describe('inspectAdapter', () => {
  it.each([
    [{ device: 'nvidia-h200', description: 'NVIDIA: 570.1' }, 'gpu', 'NVIDIA H200 (NVIDIA: 570.1)'],
    [{ vendor: 'apple', architecture: 'metal-3' }, 'gpu', 'apple metal-3'],
    [{}, 'gpu', 'unnamed GPU'],
    [{ vendor: 'google', architecture: 'swiftshader' }, 'cpu', 'SwiftShader'],
    [{ description: 'llvmpipe: Mesa 25.0.7' }, 'cpu', 'llvmpipe: Mesa 25.0.7'],
    [{ description: 'Microsoft Basic Render Driver' }, 'cpu', /Basic Render/],
    [{ vendor: 'intel', isFallbackAdapter: true }, 'cpu', 'intel'],
    [{ device: 'null-backend' }, 'null', /Null Backend/],
  ])('%j is a %s', (fields, expected, name) => {
    const nature = inspectAdapter(info(fields));
    expect(nature.class).toBe(expected);
    expect(nature.name).toMatch(name);
  });
});

describe('in a browser', () => {
  afterEach(() => void vi.unstubAllGlobals());

  it('says that the browser has no WebGPU', async () => {
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('isSecureContext', true);
    await expect(requestFrom('system', 'auto')).rejects.toThrow('this browser has no WebGPU');
  });

  it('says that the page is not secure', async () => {
    vi.stubGlobal('navigator', {});
    vi.stubGlobal('isSecureContext', false);
    await expect(requestFrom('system', 'auto')).rejects.toThrow('not a secure context');
  });

  it('asks again once after a null adapter, for the fast GPU', async () => {
    const adapter = {};
    const requestAdapter = vi.fn().mockResolvedValueOnce(null).mockResolvedValueOnce(adapter);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    expect(await requestFrom('system', 'auto')).toBe(adapter);
    expect(requestAdapter.mock.calls).toEqual([
      [{ powerPreference: 'high-performance' }],
      [{ powerPreference: 'high-performance' }],
    ]);
  });

  it('gives up after the second null, and asks for a fallback when told to', async () => {
    const requestAdapter = vi.fn().mockResolvedValue(null);
    vi.stubGlobal('navigator', { gpu: { requestAdapter } });
    expect(await requestFrom('system', 'swiftshader')).toBeNull();
    expect(requestAdapter).toHaveBeenCalledTimes(2);
    expect(requestAdapter).toHaveBeenLastCalledWith({ forceFallbackAdapter: true });
  });
});
