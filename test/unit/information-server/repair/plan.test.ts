import assert from 'node:assert/strict';
import { describe, it } from 'node:test';

import { FleetSimulation } from './fleet-simulation.ts';

const FLEETS = 150;

describe('repair', () => {
  it(`heals and rebalances ${FLEETS} random fleets that lose, regain, drain, pause and add servers, and breaks no promise`, () => {
    let [copied, trimmed] = [0, 0];
    for (let seed = 1; seed <= FLEETS; seed++) {
      const fleet = new FleetSimulation(seed);
      for (let step = 0; step < 60; step++) {
        fleet.disturb();
        fleet.tick();
      }
      fleet.calm();
      fleet.settle();
      fleet.checkHealed();
      fleet.rebalances = true;
      fleet.settle();
      fleet.checkHealed();
      fleet.checkPlaced();
      copied += fleet.copied;
      trimmed += fleet.trimmed;
    }
    assert.ok(copied > FLEETS * 20 && trimmed > FLEETS * 5, `only ${copied} copied, ${trimmed} trimmed`);
  });

  it('empties a draining server only after its copies are elsewhere', () => {
    const fleet = new FleetSimulation(3, { servers: 5, replicas: 2, zones: 1, contents: 4, pausing: false });
    const drained = fleet.drain();
    fleet.settle();
    fleet.checkHealed();
    assert.equal(fleet.chunksOn(drained), 0);
  });

  it('spreads copies over a zone that comes later, and then trims what is in one zone twice', () => {
    const fleet = new FleetSimulation(5, { servers: 4, replicas: 2, zones: 1, contents: 3, pausing: false });
    fleet.wantZones(2);
    fleet.add('zone-later');
    fleet.add('zone-later');
    fleet.settle();
    fleet.checkHealed();
  });
});
