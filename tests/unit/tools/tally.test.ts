import { describe, test } from "node:test";
import assert from "node:assert/strict";
import { judged, junitTally, parseTallyLine, sum, tallyLine } from "../../../tools/tally.ts";

const DENO = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="deno test" tests="7" failures="2" errors="0" time="0.2">
    <testsuite name="./tests/a.test.ts" tests="2" disabled="0" errors="0" failures="1">
        <testcase name="top &lt;level&gt; &amp; &quot;q&quot;" classname="./tests/a.test.ts" time="0.001">
        </testcase>
        <testcase name="outer" classname="./tests/a.test.ts" time="0.004" line="6" col="1">
            <failure message="1 test step failed">1 test step failed.</failure>
        </testcase>
    </testsuite>
    <testsuite name="ext:deno_node/testing.ts" tests="5" disabled="1" errors="0" failures="1">
        <testcase name="outer &gt; passes" classname="ext:deno_node/testing.ts" time="0.000">
        </testcase>
        <testcase name="outer &gt; fails" classname="ext:deno_node/testing.ts" time="0.000">
            <failure message="Uncaught AssertionError">at &lt;testcase name="x"/&gt;</failure>
        </testcase>
        <testcase name="outer &gt; skipped" classname="ext:deno_node/testing.ts" time="0.000">
            <skipped/>
        </testcase>
        <testcase name="outer &gt; deeper" classname="ext:deno_node/testing.ts" time="0.000">
        </testcase>
        <testcase name="outer &gt; deeper &gt; passes" classname="ext:deno_node/testing.ts" time="0.000">
        </testcase>
    </testsuite>
</testsuites>`;

const BUN = `<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="bun test" tests="3" assertions="0" failures="1" skipped="1" time="0.06">
  <testsuite name="tests/a.test.ts" file="tests/a.test.ts" tests="3" failures="1" skipped="1">
    <testcase name="passes" classname="" time="0.00057" file="tests/a.test.ts" line="5" assertions="0" />
    <testsuite name="outer" file="tests/a.test.ts" line="6" tests="2" failures="1" skipped="1">
      <testcase name="fails" classname="outer" time="0.002" file="tests/a.test.ts" assertions="0">
        <failure type="AssertionError" message="no">AssertionError: no</failure>
      </testcase>
      <testcase name="skipped" classname="outer" time="0" file="tests/a.test.ts" assertions="0">
        <skipped />
      </testcase>
    </testsuite>
  </testsuite>
</testsuites>`;

const NODE = `<?xml version="1.0" encoding="utf-8"?>
<testsuites>
	<testcase name="tests/none.test.ts" time="0.0004" classname="test" file="none.test.ts"/>
	<testcase name="top &lt;level> passes" time="0.0004" classname="test" file="a.test.ts"/>
	<testsuite name="outer" time="0.002" disabled="0" errors="0" tests="2" failures="1" skipped="1">
		<testcase name="fails" time="0.0005" classname="outer" file="a.test.ts" failure="no">
			<failure type="testCodeFailure" message="no">
Error: no
			</failure>
		</testcase>
		<testcase name="skipped" time="0.0001" classname="outer" file="a.test.ts">
			<skipped type="skipped" message="true"/>
		</testcase>
	</testsuite>
	<!-- tests 3 -->
</testsuites>`;

describe("junitTally()", () => {
  test("counts the members of Deno's groups, not the groups", () => {
    assert.deepEqual(junitTally(DENO), { passed: 3, failed: 1, skipped: 1 });
  });

  test("counts Bun's tests", () => {
    assert.deepEqual(junitTally(BUN), { passed: 1, failed: 1, skipped: 1 });
  });

  test("counts Node's tests, whose names may hold a bare >, and no empty file", () => {
    assert.deepEqual(junitTally(NODE), { passed: 1, failed: 1, skipped: 1 });
  });

  test("counts nothing in no report", () => {
    assert.deepEqual(junitTally(""), { passed: 0, failed: 0, skipped: 0 });
  });
});

describe("judged()", () => {
  test("doesn't change a good run or a counted failure", () => {
    const good = { passed: 1, failed: 0, skipped: 2 };
    const bad = { passed: 0, failed: 3, skipped: 0 };
    assert.deepEqual(judged(good, 0), good);
    assert.deepEqual(judged(bad, 1), bad);
  });

  test("adds a failure for a program that failed without one, or ran no test", () => {
    assert.equal(judged({ passed: 5, failed: 0, skipped: 0 }, 1).failed, 1);
    assert.equal(judged({ passed: 0, failed: 0, skipped: 4 }, 0).failed, 1);
  });
});

describe("tallyLine()", () => {
  test("counts skipped tests only when there are any", () => {
    assert.equal(tallyLine({ passed: 2, failed: 0, skipped: 0 }), "2 passed, 0 failed");
    assert.equal(tallyLine({ passed: 2, failed: 1, skipped: 3 }), "2 passed, 1 failed, 3 skipped");
  });

  test("is read back, the last one of several", () => {
    const text = "9 passed, 9 failed\nnoise\n2 passed, 1 failed, 3 skipped\n";
    assert.deepEqual(parseTallyLine(text), { passed: 2, failed: 1, skipped: 3 });
    assert.deepEqual(parseTallyLine("nothing"), { passed: 0, failed: 0, skipped: 0 });
  });

  test("adds up", () => {
    const one = { passed: 1, failed: 2, skipped: 3 };
    assert.deepEqual(sum(one, one), { passed: 2, failed: 4, skipped: 6 });
  });
});
