import { describe, expect, test } from 'vitest';
import { checkVulnerabilities } from '../../dist/doctor/vulnerabilities.js';

const check = (program: string, version: string, mended: readonly string[] = []) =>
  checkVulnerabilities('runtime', { program, version, mended: new Set(mended), about: '' });

const newest = ['CVE-2025-31133', 'CVE-2025-52565', 'CVE-2025-52881'];

describe('a runtime with a known vulnerability is warned of', () => {
  test.each([
    ['runc', '1.0.0-rc6', ['CVE-2019-5736', 'CVE-2021-30465', 'CVE-2024-21626', ...newest]],
    ['runc', '1.0.0~rc93+ds1', ['CVE-2021-30465', 'CVE-2024-21626', ...newest]],
    ['runc', '1.1.11', ['CVE-2024-21626', ...newest]],
    ['runc', '1.1.12', newest],
    ['runc', '1.2.7', newest],
    ['runc', '1.3.2', newest],
    ['runc', '1.4.0-rc.2', newest],
    ['crun', '0.10.4', ['CVE-2019-18837', 'CVE-2022-27650']],
    ['crun', '1.4.3', ['CVE-2022-27650']],
  ])('%s %s', (program, version, ids) => {
    const { status, finding, remedy } = check(program, version);
    expect({ status, ids: finding.match(/CVE-[\d-]+/g) }).toEqual({ status: 'warn', ids });
    expect(remedy).toMatch(/^upgrade \S+ to .* unless your distribution has backported the fix$/);
  });
});

describe('a runtime without one is not', () => {
  test.each([
    ['runc', '1.2.8'],
    ['runc', '1.3.3'],
    ['runc', '1.4.0-rc3'],
    ['runc', '1.4.0'],
    ['runc', '2.0.0'],
    ['crun', '1.4.4'],
    ['crun', '1.8.1'],
    ['runsc', '0.0~20221219.0'],
    ['runsc', 'release-20250101.0'],
  ])('%s %s', (program, version) => {
    expect(check(program, version)).toEqual({ name: 'runtime', status: 'ok', finding: `${program} ${version}` });
  });
});

test('what the distribution has mended is said and not warned of', () => {
  expect(check('runc', '1.2.7', newest)).toEqual({
    name: 'runtime',
    status: 'ok',
    finding: `runc 1.2.7; ${newest.join(', ')} mended by the distribution`,
  });
});
