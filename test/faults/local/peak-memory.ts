import { readFileSync } from 'node:fs';

/** Milliseconds between looks; the kernel keeps the peak itself, but says it only while the process lives. */
const EVERY = 20;

/** The most memory that a process of this machine ever had resident, while it lives and after (proc_pid_status(5)). */
export class PeakMemory {
  bytes = 0;

  constructor(pid: number) {
    const look = (): void => {
      try {
        const status = readFileSync(`/proc/${pid}/status`, 'latin1');
        const kibibytes = /^VmHWM:\s+(\d+) kB$/m.exec(status)?.[1];
        if (kibibytes === undefined) return clearInterval(timer);
        this.bytes = Math.max(this.bytes, Number(kibibytes) * 1024);
      } catch {
        clearInterval(timer);
      }
    };
    const timer = setInterval(look, EVERY).unref();
  }
}
