package meterbeat;

import java.time.Duration;
import java.util.List;
import org.apache.flink.api.common.eventtime.WatermarkStrategy;
import org.apache.flink.api.common.typeinfo.TypeInformation;
import org.apache.flink.connector.kafka.source.KafkaSource;
import org.apache.flink.connector.kafka.source.enumerator.initializer.OffsetsInitializer;
import org.apache.flink.connector.kafka.source.reader.deserializer.KafkaRecordDeserializationSchema;
import org.apache.flink.kafka.shaded.org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.flink.streaming.api.datastream.DataStream;
import org.apache.flink.streaming.api.environment.StreamExecutionEnvironment;
import org.apache.flink.util.Collector;

/**
 * Reads the topics and decodes each message once, where it is read, so that event time is known per
 * partition and every later step sees typed fields.
 */
public final class HeartbeatSource implements KafkaRecordDeserializationSchema<Heartbeat> {
  // A partition that waits its turn for longer than it may be idle would be taken for idle and its
  // heartbeats for late.
  private static final String FETCH_BYTES_MAX = "262144";

  private final String tickTopic;

  private HeartbeatSource(String tickTopic) {
    this.tickTopic = tickTopic;
  }

  /** Returns the messages of the topics from where the group's checkpoint left them, else from the start. */
  public static DataStream<Heartbeat> read(
      StreamExecutionEnvironment environment,
      String bootstrap,
      String group,
      List<String> topics,
      String tickTopic,
      WatermarkStrategy<Heartbeat> watermarks) {
    KafkaSource<Heartbeat> source =
        KafkaSource.<Heartbeat>builder()
            .setBootstrapServers(bootstrap)
            .setGroupId(group)
            .setTopics(topics)
            .setStartingOffsets(OffsetsInitializer.earliest())
            .setProperty("max.partition.fetch.bytes", FETCH_BYTES_MAX)
            .setProperty("commit.offsets.on.checkpoint", "true")
            .setDeserializer(new HeartbeatSource(tickTopic))
            .build();
    return environment.fromSource(source, watermarks, "heartbeats").uid("heartbeats");
  }

  /** Returns watermarks that follow a partition's newest heartbeat, a bound behind, all in milliseconds. */
  public static WatermarkStrategy<Heartbeat> watermarks(long latenessMs, long idleMs, long driftMs) {
    return new HeartbeatWatermarks(latenessMs, idleMs)
        .withTimestampAssigner((heartbeat, appended) -> heartbeat.sentAt)
        .withWatermarkAlignment("heartbeats", Duration.ofMillis(driftMs), Duration.ofMillis(200));
  }

  @Override
  public void deserialize(ConsumerRecord<byte[], byte[]> message, Collector<Heartbeat> out) {
    if (message.topic().equals(tickTopic)) {
      Heartbeat tick = new Heartbeat();
      tick.utility = Heartbeat.TICK;
      tick.sentAt = message.timestamp();
      out.collect(tick);
      return;
    }
    Heartbeat heartbeat =
        Decoder.decode(message.topic(), message.key(), message.value(), message.timestamp());
    if (heartbeat.reason != null) {
      heartbeat.key = message.key();
      heartbeat.value = message.value();
      heartbeat.topic = message.topic();
      heartbeat.partition = message.partition();
      heartbeat.offset = message.offset();
      heartbeat.timestamp = message.timestamp();
    }
    out.collect(heartbeat);
  }

  @Override
  public TypeInformation<Heartbeat> getProducedType() {
    return TypeInformation.of(Heartbeat.class);
  }
}
