/**
 * The event page: what is drawn over the picture that early.js has begun.
 * @module
 */
import { createApp } from 'vue';
import { EventPage } from '../components/event-page.js';
import { screen, space, stage, viewer } from './early.js';

createApp(EventPage, { space, screen, stage, viewer }).mount('#app');
