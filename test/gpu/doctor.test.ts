import { describe, expect, it } from 'vitest';
import { platform } from '#platform';
import { chooseAdapter } from '../../src/gpu/adapter.ts';
import { type Diagnosis, diagnose, formatDiagnosis } from '../../src/gpu/doctor.ts';

describe('diagnose', () => {
  it('tells what chooseAdapter picks, that it computes, and is plain data', async () => {
    const chosen = await chooseAdapter();
    const diagnosis = await diagnose();
    expect(diagnosis).toMatchObject({
      ok: true,
      computeCheck: 'passed',
      request: chosen.request,
      adapter: { name: chosen.name, kind: chosen.kind, class: chosen.class, why: chosen.why },
      tried: chosen.tried,
    });
    expect(diagnosis.capabilities?.f16).toBe(chosen.adapter.features.has('shader-f16'));
    expect(diagnosis.limits.maxBufferSize).toBe(chosen.adapter.limits.maxBufferSize);
    expect(diagnosis.advice.length > 0).toBe(chosen.class === 'cpu');
    expect(JSON.parse(JSON.stringify(diagnosis))).toEqual(diagnosis);
  });

  it('reports the host', async () => {
    const { host } = await diagnose();
    expect(Object.keys(host)).toEqual(
      expect.arrayContaining(platform === 'node' ? ['node', 'webgpu', 'os', 'cpu'] : ['browser']),
    );
  });

  it('finds nothing for a driver that is not here, and says what to do', async () => {
    // Where there is a GPU after all, it must have been taken for one.
    const missing = platform === 'browser' ? 'lavapipe' : 'hardware';
    const diagnosis = await diagnose(missing);
    if (diagnosis.ok) return expect(diagnosis.adapter?.class).toBe('gpu');
    expect(diagnosis).toMatchObject({ adapter: null, computeCheck: null, features: [] });
    expect(formatDiagnosis(diagnosis)).toMatch(
      new RegExp(`No WebGPU adapter for '${missing}'[^]*Tried\n[^]*What to do\n  - \\S`),
    );
  });
});

describe('formatDiagnosis', () => {
  const diagnosis: Diagnosis = {
    ok: true,
    request: 'auto',
    adapter: { name: 'SwiftShader driver 5', kind: 'embedded-software', class: 'cpu', why: 'none' },
    tried: [{ what: 'drivers on this system', result: 'no adapter' }],
    tuning: 'cpu (pinned for this kind of adapter)',
    toggles: ['enable-dawn-features=one', 'disable-dawn-features=two'],
    computeCheck: 'passed',
    capabilities: {
      f16: false,
      subgroups: { min: 4, max: 8 },
      timestamps: true,
      matrixUnit: { listed: [], used: null, why: 'the adapter does not offer it' },
    },
    features: ['subgroups', 'timestamp-query'],
    limits: {
      maxStorageBufferBindingSize: 2 ** 27,
      maxBufferSize: 2 ** 32 - 1,
      maxStorageBuffersPerShaderStage: 12,
      maxComputeWorkgroupStorageSize: 32768,
      maxComputeInvocationsPerWorkgroup: 256,
      maxComputeWorkgroupsPerDimension: 65535,
    },
    advice: ['lavapipe, 3 to 5 times as fast'],
    host: { node: 'v20.20.2' },
  };

  it('prints every part in aligned columns', () => {
    const text = formatDiagnosis(diagnosis);
    for (const line of [
      '  name           SwiftShader driver 5',
      '  kernel tuning  cpu (pinned for this kind of adapter)',
      '  Dawn toggles   enable-dawn-features=one; disable-dawn-features=two',
      '  compute check  passed',
      '  f16          no (float32 only)',
      '  subgroups    yes, 4 to 8 lanes',
      '  timestamps   yes',
      '  matrix unit  no: the adapter does not offer it',
      '  largest tensor in one binding  128 MiB',
      '  largest buffer                 4 GiB',
      '  workgroup memory               32 KiB',
      '  workgroups per dimension       65,535',
      '  drivers on this system  no adapter',
      '  node  v20.20.2',
      '  subgroups timestamp-query',
      '  - lavapipe, 3 to 5 times as fast',
    ]) {
      expect(text.split('\n')).toContain(line);
    }
  });

  it('says when the kernel went wrong', () => {
    const computeCheck = 'failed: element 3 is 0, expected 9';
    expect(formatDiagnosis({ ...diagnosis, ok: false, computeCheck })).toContain(computeCheck);
  });
});
