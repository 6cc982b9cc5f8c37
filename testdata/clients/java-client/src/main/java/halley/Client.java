package halley;

import jakarta.websocket.ContainerProvider;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.cometd.bayeux.BinaryData;
import org.cometd.bayeux.Channel;
import org.cometd.bayeux.Message;
import org.cometd.bayeux.client.ClientSession;
import org.cometd.bayeux.client.ClientSessionChannel;
import org.cometd.client.BayeuxClient;
import org.cometd.client.ext.AckExtension;
import org.cometd.client.ext.BinaryExtension;
import org.cometd.client.http.jetty.JettyHttpClientTransport;
import org.cometd.client.transport.ClientTransport;
import org.cometd.client.websocket.jakarta.WebSocketTransport;
import org.eclipse.jetty.client.HttpClient;
import org.eclipse.jetty.util.ajax.JSON;

/**
 * One client of CometD 8, unchanged. It is told what to do by lines of JSON on stdin, and tells
 * what happens by lines of JSON on stdout, in the words of the clients in JavaScript.
 *
 * <p>Options: {@code --url URL}, {@code --transport websocket|long-polling}, {@code --ack}.</p>
 */
public final class Client {
    private final BayeuxClient client;
    // All guarded by this.
    private final Set<String> channels = new LinkedHashSet<>();
    private final Map<String, ClientSessionChannel.MessageListener> subscriptions = new HashMap<>();
    private final Map<String, ClientSessionChannel.MessageListener> strays = new HashMap<>();
    private boolean handshaken;
    private boolean connected;

    public static void main(String[] args) throws Exception {
        List<String> options = Arrays.asList(args);
        Client me = new Client(options.get(options.indexOf("--url") + 1),
            options.get(options.indexOf("--transport") + 1), options.contains("--ack"));
        me.client.handshake();

        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            me.obey(object(new JSON().fromJSON(line)));
        }
        System.exit(0);
    }

    private Client(String url, String transport, boolean ack) throws Exception {
        client = new BayeuxClient(url, transport(transport));
        if (ack) {
            client.addExtension(new AckExtension());
        }
        client.addExtension(new BinaryExtension());
        // As CometD's manual has it: what the application wants is subscribed after every handshake.
        on(Channel.META_HANDSHAKE, reply -> {
            handshaken = reply.isSuccessful();
            tell("handshake", "ok", handshaken, "clientId", reply.getClientId(), "error", reason(reply),
                "transport", client.getTransport().getName(), "advice", reply.getAdvice(), "ext", reply.getExt());
            if (handshaken) {
                client.batch(() -> channels.forEach(this::subscribe));
            }
        });
        on(Channel.META_CONNECT, reply -> {
            boolean now = reply.isSuccessful();
            if ((now != connected || !now) && !client.isDisconnected()) {
                connected = now;
                tell(now ? "connected" : "broken", "clientId", client.getId(), "error", reason(reply),
                    "transport", client.getTransport().getName(), "advice", reply.getAdvice());
            }
        });
    }

    private static ClientTransport transport(String name) throws Exception {
        if (name.equals("websocket")) {
            return new WebSocketTransport(null, null, ContainerProvider.getWebSocketContainer());
        }
        HttpClient http = new HttpClient();
        http.start();
        return new JettyHttpClientTransport(null, http);
    }

    private void on(String channel, ClientSession.MessageListener listener) {
        client.getChannel(channel).addListener((ClientSessionChannel.MessageListener)(c, reply) -> {
            synchronized (this) {
                listener.onMessage(reply);
            }
        });
    }

    private synchronized void obey(Map<String, Object> command) {
        String channel = (String)command.get("channel");
        switch ((String)command.get("cmd")) {
            case "subscribe" -> {
                channels.add(channel);
                if (handshaken) {
                    subscribe(channel);
                }
            }
            case "unsubscribe" -> {
                channels.remove(channel);
                ClientSessionChannel.MessageListener stray = this::hear;
                client.getChannel(channel).unsubscribe(subscriptions.remove(channel), reply ->
                    tell("unsubscribed", "channel", channel, "ok", reply.isSuccessful(), "error", reason(reply)));
                strays.put(channel, stray);
                client.getChannel(channel).addListener(stray);
            }
            case "publish" -> publish(command);
            case "batch" -> client.batch(() -> {
                for (Object message : (Object[])command.get("messages")) {
                    publish(object(message));
                }
            });
            case "state" -> tell("state", "clientId", client.getId(), "transport", client.getTransport().getName());
            case "disconnect" -> client.disconnect(reply -> tell("disconnected", "ok", reply.isSuccessful()));
            default -> throw new IllegalArgumentException(command.toString());
        }
    }

    private void subscribe(String channel) {
        ClientSessionChannel.MessageListener stray = strays.remove(channel);
        if (stray != null) {
            client.getChannel(channel).removeListener(stray);
        }
        ClientSessionChannel.MessageListener listener = this::hear;
        subscriptions.put(channel, listener);
        client.getChannel(channel).subscribe(listener, reply ->
            tell("subscribed", "channel", channel, "ok", reply.isSuccessful(), "error", reason(reply)));
    }

    private void publish(Map<String, Object> command) {
        Object data = command.get("data");
        if (command.get("bytes") instanceof Object[] numbers) {
            byte[] bytes = new byte[numbers.length];
            for (int i = 0; i < bytes.length; i++) {
                bytes[i] = ((Number)numbers[i]).byteValue();
            }
            data = new BinaryData(bytes, true, null);
        }
        client.getChannel((String)command.get("channel")).publish(data, reply ->
            tell("published", "ref", command.get("ref"), "ok", reply.isSuccessful(), "error", reason(reply)));
    }

    private void hear(ClientSessionChannel channel, Message message) {
        // A listener is given the replies to publishes too.
        if (message.isPublishReply()) {
            return;
        }
        Object data = message.getData();
        if (data instanceof BinaryData binary) {
            byte[] bytes = binary.asBytes();
            Integer[] numbers = new Integer[bytes.length];
            Arrays.setAll(numbers, i -> bytes[i] & 0xff);
            data = Map.of("bytes", numbers);
        }
        tell("message", "channel", message.getChannel(), "data", data);
    }

    private static String reason(Message reply) {
        Object error = reply.get(Message.ERROR_FIELD);
        Object failure = reply.get("failure");
        return error != null ? error.toString() : failure != null ? failure.toString() : null;
    }

    @SuppressWarnings("unchecked")
    private static Map<String, Object> object(Object json) {
        return (Map<String, Object>)json;
    }

    private static void tell(String event, Object... fields) {
        Map<String, Object> out = new HashMap<>();
        out.put("event", event);
        out.put("at", System.currentTimeMillis());
        for (int i = 0; i < fields.length; i += 2) {
            if (fields[i + 1] != null) {
                out.put((String)fields[i], fields[i + 1]);
            }
        }
        String line = new JSON().toJSON(out);
        synchronized (System.out) {
            System.out.println(line);
            System.out.flush();
        }
    }
}
