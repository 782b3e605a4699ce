package meterbeat;

import java.util.Arrays;
import java.util.Iterator;
import java.util.Map;
import java.util.TreeMap;
import org.apache.flink.api.common.state.ListState;
import org.apache.flink.api.common.state.ListStateDescriptor;
import org.apache.flink.api.common.typeutils.base.LongSerializer;
import org.apache.flink.metrics.Counter;
import org.apache.flink.runtime.state.StateInitializationContext;
import org.apache.flink.runtime.state.StateSnapshotContext;
import org.apache.flink.streaming.api.operators.AbstractStreamOperator;
import org.apache.flink.streaming.api.operators.OneInputStreamOperator;
import org.apache.flink.streaming.api.watermark.Watermark;
import org.apache.flink.streaming.runtime.streamrecord.StreamRecord;
import org.apache.flink.api.common.operators.ProcessingTimeService.ProcessingTimeCallback;
import org.apache.flink.table.data.GenericRowData;
import org.apache.flink.table.data.RowData;
import org.apache.flink.table.data.StringData;
import org.apache.flink.util.OutputTag;

/**
 * Packs the heartbeats of a bucket and window into one array of bytes, right where they are read: from here
 * on the job handles a few arrays a second instead of every heartbeat.
 *
 * <p>It keeps nothing over a checkpoint but the newest event time: what is packed leaves before the
 * checkpoint's barrier. Late heartbeats leave apart, a few times a second; messages that are no heartbeats
 * leave by the side.
 */
final class Packer extends AbstractStreamOperator<RowData>
    implements OneInputStreamOperator<Heartbeat, RowData>, ProcessingTimeCallback {
  static final long LATE = Long.MIN_VALUE;
  static final OutputTag<RowData> DEAD_LETTERS = new OutputTag<>("dead letters", Rows.DEAD_LETTER);

  private static final long LATE_FLUSH_MS = 500;
  private static final int LETTER_BYTES_MAX = 1 << 20; // VALUE_BYTES_MAX of infra/contracts/dead_letter.py
  // Each subtask's own. A union of them could not be part of a savepoint that stops the job: Flink refuses one
  // in which some of the sources have finished before others.
  private static final ListStateDescriptor<Long> NEWEST =
      new ListStateDescriptor<>("newest_event_ms", LongSerializer.INSTANCE);

  private final int[] labels;
  private final long windowMs;

  private transient TreeMap<Long, Pack[]> packs;
  /** By bucket: the end of the window that its last heartbeat fell into, and that window's pack. */
  private transient long[] recentEnds;
  private transient Pack[] recent;
  private transient long watermark;
  private transient long newest;
  private transient ListState<Long> newestState;
  private transient Counter heartbeats;
  private transient Counter late;
  private transient Counter deadLetters;

  Packer(int[] labels, long windowMs) {
    this.labels = labels;
    this.windowMs = windowMs;
  }

  @Override
  public void initializeState(StateInitializationContext context) throws Exception {
    newestState = context.getOperatorStateStore().getListState(NEWEST);
    newest = -1;
    for (long known : newestState.get()) {
      newest = Math.max(newest, known);
    }
  }

  @Override
  public void open() {
    packs = new TreeMap<>();
    recentEnds = new long[labels.length];
    recent = new Pack[labels.length];
    watermark = Long.MIN_VALUE;
    heartbeats = getMetricGroup().counter("heartbeats");
    late = getMetricGroup().counter("late");
    deadLetters = getMetricGroup().counter("dead_letters");
    getMetricGroup().gauge("newest_event_ms", () -> newest);
    flushLateSoon();
  }

  @Override
  public void processElement(StreamRecord<Heartbeat> element) {
    Heartbeat heartbeat = element.getValue();
    if (heartbeat.reason != null) {
      deadLetters.inc();
      output.collect(DEAD_LETTERS, new StreamRecord<>(letter(heartbeat)));
    } else if (heartbeat.utility != Heartbeat.TICK) {
      heartbeats.inc();
      newest = Math.max(newest, heartbeat.sentAt);
      pack(heartbeat);
    }
  }

  private void pack(Heartbeat heartbeat) {
    int bucket = heartbeat.userId % labels.length;
    long end = LATE;
    if (heartbeat.sentAt > watermark) {
      end = Buckets.windowEnd(heartbeat.sentAt, bucket, labels.length, windowMs);
    } else {
      late.inc();
    }
    Pack pack = recent[bucket];
    if (pack == null || recentEnds[bucket] != end) {
      Pack[] found = packs.computeIfAbsent(end, any -> new Pack[labels.length]);
      if (found[bucket] == null) {
        found[bucket] = new Pack();
      }
      pack = recent[bucket] = found[bucket];
      recentEnds[bucket] = end;
    }
    if (pack.isFull()) {
      send(end, bucket, pack);
    }
    pack.add(heartbeat);
  }

  @Override
  public void processWatermark(Watermark mark) throws Exception {
    watermark = mark.getTimestamp();
    flush(watermark);
    super.processWatermark(mark);
  }

  @Override
  public void prepareSnapshotPreBarrier(long checkpointId) {
    flush(Long.MAX_VALUE);
  }

  @Override
  public void finish() throws Exception {
    flush(Long.MAX_VALUE);
    super.finish();
  }

  @Override
  public void snapshotState(StateSnapshotContext context) throws Exception {
    super.snapshotState(context);
    newestState.update(Arrays.asList(newest));
  }

  @Override
  public void onProcessingTime(long now) {
    flush(LATE);
    flushLateSoon();
  }

  private void flushLateSoon() {
    long now = getProcessingTimeService().getCurrentProcessingTime();
    getProcessingTimeService().registerTimer(now + LATE_FLUSH_MS, this);
  }

  /** Sends what is late and the windows that a watermark closes. */
  private void flush(long mark) {
    Iterator<Map.Entry<Long, Pack[]>> windows = packs.entrySet().iterator();
    while (windows.hasNext()) {
      Map.Entry<Long, Pack[]> window = windows.next();
      long end = window.getKey();
      if (end != LATE && end - 1 > mark) {
        break;
      }
      Pack[] found = window.getValue();
      for (int bucket = 0; bucket < found.length; bucket++) {
        if (found[bucket] != null) {
          send(end, bucket, found[bucket]);
        }
      }
      windows.remove();
      Arrays.fill(recent, null);
    }
  }

  private void send(long end, int bucket, Pack pack) {
    output.collect(new StreamRecord<>(GenericRowData.of(labels[bucket], end, pack.take())));
  }

  private static RowData letter(Heartbeat message) {
    byte[] value = message.value;
    // A small compressed batch can hold a huge message; a letter that the broker refuses would stop the job.
    if (value != null && value.length > LETTER_BYTES_MAX) {
      value = Arrays.copyOf(value, LETTER_BYTES_MAX);
    }
    return GenericRowData.of(
        message.key,
        value,
        StringData.fromString(message.topic),
        message.partition,
        message.offset,
        message.timestamp,
        StringData.fromString(message.reason));
  }
}
