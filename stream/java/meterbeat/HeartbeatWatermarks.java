package meterbeat;

import java.time.Duration;
import org.apache.flink.api.common.eventtime.Watermark;
import org.apache.flink.api.common.eventtime.WatermarkGenerator;
import org.apache.flink.api.common.eventtime.WatermarkGeneratorSupplier;
import org.apache.flink.api.common.eventtime.WatermarkOutput;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.eventtime.WatermarksWithIdleness;

/**
 * The watermark of one partition: its newest heartbeat less the bound within which order does not matter.
 *
 * <p>What is no heartbeat moves no watermark and keeps no partition awake: a partition with nothing but
 * malformed messages must not hold the others back.
 */
final class HeartbeatWatermarks implements WatermarkStrategy<Heartbeat> {
  private final long latenessMs;
  private final long idleMs;

  HeartbeatWatermarks(long latenessMs, long idleMs) {
    this.latenessMs = latenessMs;
    this.idleMs = idleMs;
  }

  @Override
  public WatermarkGenerator<Heartbeat> createWatermarkGenerator(WatermarkGeneratorSupplier.Context context) {
    WatermarkGenerator<Heartbeat> awake =
        new WatermarksWithIdleness<>(
            new Bounded(latenessMs), Duration.ofMillis(idleMs), context.getInputActivityClock());
    return new WatermarkGenerator<>() {
      @Override
      public void onEvent(Heartbeat heartbeat, long sentAt, WatermarkOutput output) {
        if (heartbeat.reason == null) {
          awake.onEvent(heartbeat, sentAt, output);
        }
      }

      @Override
      public void onPeriodicEmit(WatermarkOutput output) {
        awake.onPeriodicEmit(output);
      }
    };
  }

  private static final class Bounded implements WatermarkGenerator<Heartbeat> {
    private final long latenessMs;
    private long newest;

    Bounded(long latenessMs) {
      this.latenessMs = latenessMs;
      this.newest = Long.MIN_VALUE + latenessMs + 1;
    }

    @Override
    public void onEvent(Heartbeat heartbeat, long sentAt, WatermarkOutput output) {
      newest = Math.max(newest, sentAt);
    }

    @Override
    public void onPeriodicEmit(WatermarkOutput output) {
      output.emitWatermark(new Watermark(newest - latenessMs - 1));
    }
  }
}
