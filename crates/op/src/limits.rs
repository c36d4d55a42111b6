//! Limits on what one request may ask, each with its name and unit.

/// The limits on operations. Those of the wire (headers, bodies, connections) are the server's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Rows a page without a size.
    pub page_size_default: u32,
    /// Rows a page at most; larger sizes are taken as this.
    pub page_size_max: u32,
    /// Bytes of a page (as JSON, roughly) after which it ends early.
    pub page_bytes_max: usize,
    /// Rows of a to-many relation shown by `expand` for each parent.
    pub expand_items_max: u32,
    /// Levels of relations in one read.
    pub expand_depth_max: usize,
    /// Paths in one `expand`.
    pub expand_paths_max: usize,
    /// Terms of a filter.
    pub filter_terms_max: usize,
    /// Nodes of one expression.
    pub expression_nodes_max: usize,
    /// Bytes of a `filter=` text.
    pub filter_bytes_max: usize,
    /// Values of one `in`.
    pub in_values_max: usize,
    /// Keys of an order, the row's own key apart.
    pub order_keys_max: usize,
    /// Groups of one aggregate.
    pub groups_max: u32,
    /// Rows up to which a total is counted.
    pub total_max: u64,
    /// Events (so rows changed) of one commit.
    pub commit_events_max: usize,
    /// Bytes of the events of one commit.
    pub commit_bytes_max: usize,
    /// Bytes of one row as JSON.
    pub row_bytes_max: usize,
    /// Elements of an owned list.
    pub owned_elements_max: usize,
    /// Elements of a scalar list.
    pub list_elements_max: usize,
    /// Bytes of a String without `@length`.
    pub string_bytes_max: usize,
    /// Bytes of a `Bytes`.
    pub bytes_bytes_max: usize,
    /// Bytes of a `Json`.
    pub json_bytes_max: usize,
    /// Levels of a JSON text.
    pub json_depth_max: usize,
    /// Characters of an idempotency key.
    pub idempotency_key_max: usize,
    /// Rows that one ingest reads ahead.
    pub ingest_rows_ahead_max: usize,
    /// Bytes of a GraphQL document.
    pub graphql_bytes_max: usize,
    /// Tokens of a GraphQL document.
    pub graphql_tokens_max: usize,
    /// Levels of fields in a GraphQL document.
    pub graphql_depth_max: usize,
    /// Aliases in a GraphQL document.
    pub graphql_aliases_max: usize,
    /// Root fields of a GraphQL operation.
    pub graphql_root_fields_max: usize,
    /// Fragment visits of a GraphQL document, counted before validation.
    pub graphql_fragment_visits_max: usize,
    /// Operations at once on one GraphQL WebSocket.
    pub graphql_socket_operations_max: usize,
    /// Milliseconds in which a GraphQL WebSocket's `connection_init` must come.
    pub graphql_init_ms: u64,
    /// Bytes of a WebSocket message.
    pub websocket_message_bytes_max: usize,
    /// Bytes waiting to be written to one WebSocket.
    pub websocket_out_bytes_max: usize,
    /// Subscriptions of one WebSocket.
    pub websocket_subscriptions_max: usize,
    /// Bytes of a gRPC message, in and out.
    pub grpc_message_bytes_max: usize,
    /// Bytes of the newest events that are kept in memory for watches.
    pub feed_ring_bytes_max: usize,
    /// Watches at once.
    pub watches_max: usize,
    /// Deliveries that wait for one watch's reader; one whole commit always may.
    pub watch_queue_deliveries_max: usize,
    /// Bytes of the events that wait for one watch's reader; one whole commit always may.
    pub watch_queue_bytes_max: usize,
    /// Rows with which a watch begins.
    pub watch_initial_rows_max: u32,
    /// Bytes of the rows with which a watch begins (as JSON, roughly).
    pub watch_initial_bytes_max: usize,
    /// Memberships of a caller whose rights a watch follows.
    pub watch_membership_keys_max: u32,
    /// Milliseconds without a delivery after which a watch that asks for bookmarks gets one, if the log has moved; over gRPC also if it has not.
    pub watch_bookmark_ms: u64,
    /// Channels of which something is in memory: a subscriber, a publication, or who is present.
    pub channels_max: usize,
    /// Subscribers of one channel.
    pub channel_subscribers_max: usize,
    /// Subscribers of one channel that tell of themselves.
    pub channel_presence_max: usize,
    /// Bytes of what one subscriber tells of itself.
    pub channel_presence_bytes_max: usize,
    /// Bytes of the publications that one channel keeps; older ones go first.
    pub channel_history_bytes_max: usize,
    /// Bytes of the publications that all channels keep; one that would go beyond keeps none of its own.
    pub channels_history_bytes_max: usize,
    /// Publications in one answer of a channel's history; more are taken as this.
    pub channel_history_items_max: usize,
    /// Events of the log that one look into a stream's history goes over.
    pub channel_history_events_max: u64,
    /// Signals a second, of one subscriber.
    pub channel_signals_per_second_max: u32,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            page_size_default: 50,
            page_size_max: 1_000,
            page_bytes_max: 2 << 20,
            expand_items_max: 20,
            expand_depth_max: 3,
            expand_paths_max: 5,
            filter_terms_max: 20,
            expression_nodes_max: 100,
            filter_bytes_max: 4_096,
            in_values_max: 100,
            order_keys_max: 3,
            groups_max: 1_000,
            total_max: 10_000,
            commit_events_max: 1_000,
            commit_bytes_max: 4 << 20,
            row_bytes_max: 256 << 10,
            owned_elements_max: 500,
            list_elements_max: 100,
            string_bytes_max: 64 << 10,
            bytes_bytes_max: 128 << 10,
            json_bytes_max: 64 << 10,
            json_depth_max: 64,
            idempotency_key_max: 255,
            ingest_rows_ahead_max: 4_096,
            graphql_bytes_max: 15_000,
            graphql_tokens_max: 1_000,
            graphql_depth_max: 8,
            graphql_aliases_max: 30,
            graphql_root_fields_max: 50,
            graphql_fragment_visits_max: 2_000,
            graphql_socket_operations_max: 100,
            graphql_init_ms: 10_000,
            websocket_message_bytes_max: 512 << 10,
            websocket_out_bytes_max: 1 << 20,
            websocket_subscriptions_max: 128,
            grpc_message_bytes_max: 4 << 20,
            feed_ring_bytes_max: 8 << 20,
            watches_max: 100_000,
            watch_queue_deliveries_max: 1_024,
            watch_queue_bytes_max: 1 << 20,
            watch_initial_rows_max: 10_000,
            watch_initial_bytes_max: 8 << 20,
            watch_membership_keys_max: 10_000,
            watch_bookmark_ms: 15_000,
            channels_max: 100_000,
            channel_subscribers_max: 10_000,
            channel_presence_max: 1_000,
            channel_presence_bytes_max: 4 << 10,
            channel_history_bytes_max: 1 << 20,
            channels_history_bytes_max: 64 << 20,
            channel_history_items_max: 1_000,
            channel_history_events_max: 10_000,
            channel_signals_per_second_max: 5,
        }
    }
}
