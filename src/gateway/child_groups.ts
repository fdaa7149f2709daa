/**
 * Sees to it that no child outlives this process.
 *
 * Every child leads a process group of its own. When the process exits the groups are killed. When it
 * is killed itself it can't do that: most children then end because their stdin does, and for those
 * that don't there is a reaper, one small `sh` for all children of the process, which is told of every
 * group and kills what is left when *its* stdin ends. It is there only while there are children.
 *
 * (The kernel's parent-death signal would do for Linux alone, is tied to the thread that starts the
 * child, and leaves the child's own children alone.)
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import process from "node:process";

/** Whether there are process groups. */
export const HAS_GROUPS: boolean = process.platform !== "win32";

/** What the reaper runs. Nothing is put into it: groups come as lines of a sign and a number. */
const REAPER = `trap "" HUP INT TERM
groups=" "
while read -r sign group; do
  case $sign in
    +) groups="$groups$group " ;;
    -) left=" "; for each in $groups; do [ "$each" = "$group" ] || left="$left$each "; done
       groups=$left ;;
  esac
done
[ "$groups" = " " ] && exit
for each in $groups; do kill -TERM "-$each" 2>/dev/null; done
sleep 1
for each in $groups; do kill -KILL "-$each" 2>/dev/null; done
`;

/** The process groups that are to end with this process. */
class ChildGroups {
  readonly #groups = new Set<number>();
  #reaper: ChildProcess | undefined;

  /** Takes care of a group from now on. */
  add(group: number): void {
    if (!HAS_GROUPS) return;
    if (this.#groups.size === 0) {
      process.on("exit", this.#killAll);
      this.#reaper = startReaper();
    }
    this.#groups.add(group);
    this.#tell("+", group);
  }

  /** Leaves a group, whose leader has ended, alone, after ending what is left of it. */
  remove(group: number): void {
    if (!this.#groups.delete(group)) return;
    killGroup(group, "SIGKILL");
    this.#tell("-", group);
    if (this.#groups.size > 0) return;
    process.off("exit", this.#killAll);
    this.#reaper?.stdin?.end();
    this.#reaper = undefined;
  }

  #tell(sign: "+" | "-", group: number): void {
    this.#reaper?.stdin?.write(`${sign} ${group}\n`);
  }

  readonly #killAll = (): void => {
    for (const group of this.#groups) killGroup(group, "SIGKILL");
  };
}

/** The groups of this process: there is one `exit` to wait for. */
export const childGroups: ChildGroups = new ChildGroups();

/** Sends a signal to a whole group. One that is gone already is no error. */
export function killGroup(group: number, signal: "SIGTERM" | "SIGKILL"): void {
  try {
    process.kill(-group, signal);
  } catch {
    // There is nobody left.
  }
}

/** Starts the reaper. Where that fails children still end by the end of their stdin. */
function startReaper(): ChildProcess | undefined {
  try {
    const reaper = spawn("/bin/sh", ["-c", REAPER, "mooring-reaper"], {
      detached: true,
      stdio: ["pipe", "ignore", "ignore"],
      env: { PATH: "/usr/bin:/bin" },
    });
    reaper.on("error", () => {});
    reaper.stdin.on("error", () => {});
    reaper.unref();
    return reaper;
  } catch {
    return undefined;
  }
}
